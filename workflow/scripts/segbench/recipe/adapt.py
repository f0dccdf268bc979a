"""Turn any config of the model zoo into one that trains on a prepared dataset, with no hand edit.

Everything that must agree is derived: the number of classes in every head, normalisation for one
device, class weights that no longer fit, crop and preprocessor size, pipelines, data, schedule
and seed. What was changed is said in the config itself (`segbench.adaptations`). The outcome is
an ordinary MMSegmentation config. Imports mmengine's config, never torch or mmseg.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from segbench.recipe.class_weights import rare_class_probabilities
from segbench.recipe.model import set_class_weights, set_classes, set_image_size
from segbench.recipe.section import FORM
from segbench.zoo.families import SIZE_DIVISORS
from segbench.zoo.reader import published_crop, published_iters, train_pipeline
from segbench.zoo.tree import Node, Shape, as_pair, drop_files, inner_backbone, walk

RESIZES = ("Resize", "RandomResize", "RandomChoiceResize", "ResizeShortestEdge", "ResizeToMultiple")
# ends of schedules, in iterations or epochs, that scale with the length of the training
SCHEDULE_KEYS = ("begin", "end", "T_max", "total_iters", "step_size")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run asks for beyond its zoo config; None keeps what the zoo config says.

    Attributes:
        run: names the run in messages, `model/initialization/seed0`.
        initialization: `scratch`, `imagenet`, `finetuned` or `zero_shot`.
        seed: seeds weights, sampling and augmentation.
        fold: which fold is validated on, None without cross-validation.
        published_batch: total batch the zoo config was published with, None if unknown.
        weights: local checkpoint, of the backbone for `imagenet`, of the whole model for
            `finetuned` and `zero_shot`.
        source_classes: names of the classes of that whole model.
        class_map: target class of each of them, -1 where there is none.
        crop_size, image_size: height and width in pixels.
        batch_size, max_iters, val_interval: in images and iterations.
        epochs: length instead of `max_iters`, in passes over the training images.
        early_stopping: validations without a better score that end a training.
        ema: decay of an average of the weights.
        learning_rate: taken as it is, without the linear rule.
        precision: `float32`, or `bfloat16` for mixed precision; None means `float32`.
        class_weights: a formula of `segbench.recipe.class_weights`, or a weight per class.
        rare_class_sampling: temperature of `class_weights.rare_class_probabilities`.
        overrides: merged into the zoo config first, by MMEngine's rules.
    """

    run: str
    initialization: str
    seed: int
    fold: int | None = None
    published_batch: int | None = None
    weights: str | None = None
    source_classes: Sequence[str] = ()
    class_map: Sequence[int] = ()
    crop_size: Shape | None = None
    image_size: Shape | None = None
    batch_size: int | None = None
    max_iters: int | None = None
    epochs: int | None = None
    early_stopping: int | None = None
    ema: float | None = None
    val_interval: int | None = None
    learning_rate: float | None = None
    precision: str | None = None
    class_weights: str | Sequence[float] | None = None
    rare_class_sampling: float | None = None
    overrides: Mapping[str, Any] | None = None


class Adaptation:
    """One zoo config on its way to a dataset; collects what was changed as sentences."""

    def __init__(
        self, config: Config, manifest: Mapping[str, Any], recipe: Recipe, published_rate: float
    ) -> None:
        self.published_rate = published_rate
        self.config, self.manifest, self.recipe = config, manifest, recipe
        self.notes: list[str] = []
        self.published_crop = published_crop(config)
        self.crop = recipe.crop_size or self.published_crop
        self.published_batch = recipe.published_batch or self._batch_of_one_gpu()
        self.batch = recipe.batch_size or self.published_batch
        self.iters = recipe.max_iters or self._iters_of_epochs() or published_iters(config)

    def run(self) -> Config:
        """Apply every step, in an order in which none undoes another."""
        self._classes()
        self._normalisation()
        self._initialization()
        self._crop_and_test()
        self._hard_example_mining()
        self._data()
        self._optimizer()
        self._schedule()
        self._record()
        return self.config

    def _batch_of_one_gpu(self) -> int:
        """Stand in for a published batch where no config name says how many GPUs there were."""
        batch = int(self.config.train_dataloader.get("batch_size") or 8)
        self.note(f"no name like 4xb2 says the published batch; {batch} taken, as for one GPU")
        return batch

    def _iters_of_epochs(self) -> int:
        if self.recipe.epochs is None:
            return 0
        images = int(self.manifest["splits"]["train"]["images"])
        if self.recipe.fold is not None:
            images = int(self.manifest["folds"][self.recipe.fold]["train"])
        return math.ceil(self.recipe.epochs * images / self.batch)

    def note(self, text: str) -> None:
        """Remember a change once."""
        if text not in self.notes:
            self.notes.append(text)

    def _classes(self) -> None:
        count = len(self.manifest["classes"])
        untrained = self.recipe.initialization == "zero_shot"
        if untrained:
            count = len(self.recipe.source_classes)
        set_classes(self.config.model, count, self.note)
        if self.recipe.class_weights is not None and not untrained:
            set_class_weights(
                self.config.model, self.recipe.class_weights, self.manifest, self.note
            )

    def _normalisation(self) -> None:
        for node in walk(self.config.model):
            if node.get("type") == "SyncBN":
                node["type"] = "BN"
                self.note("SyncBN -> BN (one device)")

    def _initialization(self) -> None:
        model = self.config.model
        for node in walk(model):
            for key in drop_files(node):
                self.note(f"published pretrained `{key}` dropped")
        weights = self.recipe.weights
        if self.recipe.initialization == "imagenet":
            inner = inner_backbone(model.backbone)
            inner["init_cfg"] = {"type": "Pretrained", "checkpoint": weights}
            self.note(f"backbone starts from {weights}, heads are random")
        elif self.recipe.initialization == "scratch":
            self.note("every weight starts random")
        else:
            self.note(f"every weight starts from {weights}")

    def _crop_and_test(self) -> None:
        model, crop = self.config.model, self.crop
        model.setdefault("data_preprocessor", {"type": "SegDataPreProcessor"})
        model.data_preprocessor.size = crop
        model.data_preprocessor.pop("size_divisor", None)
        set_image_size(model, crop, self.note)
        divisor = SIZE_DIVISORS.get(model.backbone.get("type"))
        if divisor:
            model.data_preprocessor.test_cfg = {"size_divisor": divisor}
            self.note(
                f"test images padded to multiples of {divisor}, and the padding cut off again"
            )
        test = model.get("test_cfg") or {}
        if test.get("mode") == "slide":
            stride = as_pair(test.get("stride", self.published_crop))
            window = as_pair(test.get("crop_size", self.published_crop))
            test["crop_size"] = crop
            test["stride"] = tuple(
                max(1, side * step // width)
                for side, step, width in zip(crop, stride, window, strict=True)
            )
            self.note(f"sliding window at test time: {crop[0]}x{crop[1]}")

    def _hard_example_mining(self) -> None:
        """Keep the published share of pixels: `min_kept` counts pixels of the published batch."""
        old = self.published_crop
        published_images = self.config.train_dataloader.get("batch_size") or 1
        share = (self.batch * self.crop[0] * self.crop[1]) / (published_images * old[0] * old[1])
        for node in walk(self.config.model):
            if isinstance(node.get("min_kept"), int):
                kept = max(1, round(node["min_kept"] * share))
                self.note(f"min_kept of OHEM: {node['min_kept']} -> {kept} (same share of pixels)")
                node["min_kept"] = kept

    def _data(self) -> None:
        train = train_pipeline(self.config)
        for name in ("train", "val", "test"):
            self.config.pop(f"{name}_dataloader", None)
        # each image keeps its own size at test time, unless the user asks for another
        test: list[Node] = [{"type": "LoadImageFromFile"}]
        if self.recipe.image_size:
            scale = (self.recipe.image_size[1], self.recipe.image_size[0])
            test.append({"type": "Resize", "scale": scale, "keep_ratio": True})
        test += [{"type": "LoadAnnotations"}, {"type": "PackSegInputs"}]
        val = self._dataset("val", test)
        self.config.train_dataloader = {
            "batch_size": self.batch,
            "num_workers": 2,
            "persistent_workers": True,
            "sampler": self._sampler(),
            "dataset": self._dataset("train", self._adapted_pipeline(train)),
        }
        self.config.val_dataloader = {
            "batch_size": 1,
            "num_workers": 2,
            "persistent_workers": True,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "dataset": val,
        }
        self.config.test_dataloader = copy.deepcopy(self.config.val_dataloader)
        evaluator = {"type": "IoUMetric", "iou_metrics": ["mIoU"]}
        self.config.val_evaluator = self.config.test_evaluator = evaluator
        for leftover in ("train_pipeline", "val_pipeline", "test_pipeline", "tta_pipeline",
                         "img_ratios", "data_root", "dataset_type", "crop_size"):  # fmt: skip
            self.config.pop(leftover, None)
        self.config.test_pipeline = copy.deepcopy(test)  # where `mmseg.apis` looks for it

    def _sampler(self) -> Node:
        temperature = self.recipe.rare_class_sampling
        if temperature is None:
            return {"type": "InfiniteSampler", "shuffle": True}
        probabilities = rare_class_probabilities(temperature, self.manifest)
        self.note(
            f"rare class sampling at temperature {temperature:g}: a class is drawn with "
            f"{probabilities}, then an image that shows it"
        )
        return {"type": "RareClassSampler", "probabilities": probabilities}

    def _dataset(self, split: str, pipeline: list[Node]) -> Node:
        classes, fold = self.manifest["classes"], self.recipe.fold
        return {
            "type": "FrameDataset",
            "data_root": self.manifest["folder"],
            "ann_file": f"splits/{split}.txt" if fold is None else f"splits/fold{fold}/{split}.txt",
            "data_prefix": _prefix(split),
            "more_prefix": None if fold is None else _prefix("train" if split == "val" else "val"),
            "metainfo": {
                "classes": [c["name"] for c in classes],
                "palette": [c["color"] for c in classes],
            },
            "pipeline": pipeline,
        }

    def _adapted_pipeline(self, pipeline: list[Node]) -> list[Node]:
        height, width = self.recipe.image_size or tuple(self.manifest["image_sizes"][0][:2])
        adapted = copy.deepcopy(pipeline)
        for step in adapted:
            if step["type"] == "LoadAnnotations":
                step.pop("reduce_zero_label", None)
            if step["type"] in RESIZES:
                self._adapt_resize(step, height, width)
            if "crop_size" in step:
                step["crop_size"] = self.crop
            if step["type"] == "Pad" and "size" in step:
                step["size"] = self.crop
        return adapted

    def _adapt_resize(self, step: Node, height: int, width: int) -> None:
        """Resize relative to the images of this dataset instead of the published ones."""
        short, old_short = min(self.crop), min(self.published_crop)
        if isinstance(step.get("scale"), Sequence):
            self.note(f"{step['type']}: scale {tuple(step['scale'])} -> ({width}, {height})")
            step["scale"] = (width, height)  # MMCV writes width first
        if isinstance(step.get("scales"), Sequence):
            step["scales"] = [
                max(1, round(s * short / old_short)) if isinstance(s, int) else (width, height)
                for s in step["scales"]
            ]
        if "max_size" in step:
            step["max_size"] = max(1, round(step["max_size"] * short / old_short))

    def _optimizer(self) -> None:
        wrapper = self.config.optim_wrapper
        optimizer = wrapper.optimizer
        self._precision(wrapper)
        published = float(optimizer.lr)
        if self.recipe.learning_rate is not None:
            optimizer.lr = self.recipe.learning_rate
            self.note(f"learning rate: {published:g} -> {optimizer.lr:g} (set in the config)")
        elif self.published_batch != self.batch:
            optimizer.lr = published * self.batch / self.published_batch
            self.note(
                f"learning rate: {published:g} -> {optimizer.lr:g} "
                f"(linear rule, batch {self.published_batch} -> {self.batch})"
            )

    def _precision(self, wrapper: Node) -> None:
        if self.recipe.precision == "bfloat16":
            # bfloat16 has the range of float32, so its loss needs no scale
            wrapper.update(type="AmpOptimWrapper", dtype="bfloat16", loss_scale=1.0)
            self.note("mixed precision: bfloat16 in training, float32 in every score")
        elif wrapper.get("type") == "AmpOptimWrapper":
            wrapper["type"] = "OptimWrapper"
            wrapper.pop("loss_scale", None)
            wrapper.pop("dtype", None)
            self.note("mixed precision of the zoo config not used")

    def _schedule(self) -> None:
        published = published_iters(self.config)
        factor = self.iters / published
        schedulers = self.config.get("param_scheduler") or []
        schedulers = schedulers if isinstance(schedulers, list) else [schedulers]
        self._floor_of_rate(schedulers)
        for scheduler in schedulers:
            for key in SCHEDULE_KEYS:
                if isinstance(scheduler.get(key), int):
                    scheduler[key] = round(scheduler[key] * factor)
            if scheduler.get("milestones"):
                scheduler["milestones"] = [round(m * factor) for m in scheduler["milestones"]]
        # MMEngine never leaves the start factor of a warm-up of fewer than two iterations
        self.config.param_scheduler = [
            s for s in schedulers if "end" not in s or s["end"] >= s.get("begin", 0) + 2
        ]
        if self.iters != published:
            self.note(f"schedule: {published} -> {self.iters} iterations, warm-up scaled alike")
        interval = self.recipe.val_interval or max(1, self.iters // 10)
        self.config.train_cfg = {
            "type": "IterBasedTrainLoop",
            "max_iters": self.iters,
            "val_interval": min(interval, self.iters),
        }
        self.config.val_cfg = {"type": "ValLoop"}
        self.config.test_cfg = {"type": "TestLoop"}
        hooks = self.config.get("default_hooks") or {}
        if "checkpoint" in hooks:
            hooks["checkpoint"]["interval"] = min(interval, self.iters)

    def _floor_of_rate(self, schedulers: list[Node]) -> None:
        """Keep the shape of the schedule: its lowest rate scales with its highest."""
        scale = float(self.config.optim_wrapper.optimizer.lr) / self.published_rate
        if scale == 1 or "param_scheduler" in (self.recipe.overrides or {}):
            return
        for scheduler in schedulers:
            if scheduler.get("eta_min"):
                old, scheduler["eta_min"] = scheduler["eta_min"], scheduler["eta_min"] * scale
                self.note(f"eta_min: {old:g} -> {scheduler['eta_min']:.3g} (with the rate)")

    def _record(self) -> None:
        self.config.randomness = {"seed": self.recipe.seed}
        self.config.load_from, self.config.resume = None, False
        self.config.custom_imports = {
            "imports": [*self._published_imports(), "segbench.engine.dataset"],
            "allow_failed_imports": False,
        }
        self.config.segbench = {
            "form": FORM,
            "run": self.recipe.run,
            "initialization": self.recipe.initialization,
            "dataset": self.manifest["name"],
            "crop_size": self.crop,
            "batch_size": self.batch,
            "adaptations": self.notes,
            "early_stopping": self.recipe.early_stopping,
            "ema": self.recipe.ema,
        }
        if self.recipe.source_classes:
            self.config.segbench.source = {
                "checkpoint": self.recipe.weights,
                "classes": list(self.recipe.source_classes),
                "class_map": list(self.recipe.class_map),
            }

    def _published_imports(self) -> list[str]:
        imports = (self.config.get("custom_imports") or {}).get("imports") or []
        return [imports] if isinstance(imports, str) else list(imports)


def _prefix(split: str) -> Node:
    """Folders of one split of a prepared dataset."""
    return {"img_path": f"{split}_img", "seg_map_path": f"{split}_label"}
