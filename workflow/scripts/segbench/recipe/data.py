"""The data of a run: pipelines, datasets, sampler and loaders."""

import copy
from collections.abc import Sequence

from segbench.recipe.class_weights import rare_class_probabilities
from segbench.recipe.context import Adaptation
from segbench.zoo.reader import train_pipeline
from segbench.zoo.tree import Node

RESIZES = ("Resize", "RandomResize", "RandomChoiceResize", "ResizeShortestEdge", "ResizeToMultiple")
# keys of published configs whose content is in the loaders now
LEFTOVERS = (
    "train_pipeline", "val_pipeline", "test_pipeline", "tta_pipeline", "img_ratios", "data_root",
    "dataset_type", "crop_size",
)  # fmt: skip


def read_prepared_data(run: Adaptation) -> None:
    """Train on the prepared dataset, and score all images of the split that is compared on."""
    train = train_pipeline(run.config)
    for name in ("train", "val", "test"):
        run.config.pop(f"{name}_dataloader", None)
    # each image keeps its own size at test time, unless the user asks for another
    test: list[Node] = [{"type": "LoadImageFromFile"}]
    if run.training.image_size:
        scale = (run.training.image_size[1], run.training.image_size[0])
        test.append({"type": "Resize", "scale": scale, "keep_ratio": True})
    test += [{"type": "LoadAnnotations"}, {"type": "PackSegInputs"}]
    val = _dataset(run, "val", test)
    run.config.train_dataloader = {
        "batch_size": run.batch,
        "num_workers": 2,
        "persistent_workers": True,
        "sampler": _sampler(run),
        "dataset": _dataset(run, "train", _adapted_pipeline(run, train)),
    }
    run.config.val_dataloader = {
        "batch_size": 1,
        "num_workers": 2,
        "persistent_workers": True,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "dataset": val,
    }
    run.config.test_dataloader = {
        **copy.deepcopy(run.config.val_dataloader),
        "dataset": _dataset(run, run.manifest.scored_split, test),
    }
    evaluator = {"type": "IoUMetric", "iou_metrics": ["mIoU"]}
    run.config.val_evaluator = run.config.test_evaluator = evaluator
    for leftover in LEFTOVERS:
        run.config.pop(leftover, None)
    run.config.test_pipeline = copy.deepcopy(test)  # where `mmseg.apis` looks for it


def _sampler(run: Adaptation) -> Node:
    temperature = run.training.rare_class_sampling
    if temperature is None:
        return {"type": "InfiniteSampler", "shuffle": True}
    probabilities = rare_class_probabilities(temperature, run.manifest)
    run.note(
        f"rare class sampling at temperature {temperature:g}: a class is drawn with "
        f"{probabilities}, then an image that shows it"
    )
    return {"type": "RareClassSampler", "probabilities": probabilities}


def _dataset(run: Adaptation, split: str, pipeline: list[Node]) -> Node:
    fold = None if split == "test" else run.recipe.fold
    return {
        "type": "FrameDataset",
        "data_root": run.folder.as_posix(),
        "ann_file": f"splits/{split}.txt" if fold is None else f"splits/fold{fold}/{split}.txt",
        "data_prefix": _prefix(split),
        "more_prefix": None if fold is None else _prefix("train" if split == "val" else "val"),
        "metainfo": {
            "classes": list(run.manifest.class_names),
            "palette": run.manifest.palette,
        },
        "pipeline": pipeline,
    }


def _adapted_pipeline(run: Adaptation, pipeline: list[Node]) -> list[Node]:
    height, width = run.training.image_size or run.manifest.common_size
    adapted = copy.deepcopy(pipeline)
    for step in adapted:
        if step["type"] == "LoadAnnotations":
            step.pop("reduce_zero_label", None)
        if step["type"] in RESIZES:
            _adapt_resize(run, step, height, width)
        if "crop_size" in step:
            step["crop_size"] = run.crop
        if step["type"] == "Pad" and "size" in step:
            step["size"] = run.crop[::-1]  # MMCV writes width first
    return adapted


def _adapt_resize(run: Adaptation, step: Node, height: int, width: int) -> None:
    """Resize relative to the images of this dataset instead of the published ones."""
    short, old_short = min(run.crop), min(run.published_crop)
    if isinstance(step.get("scale"), Sequence):
        run.note(f"{step['type']}: scale {tuple(step['scale'])} -> ({width}, {height})")
        step["scale"] = (width, height)  # MMCV writes width first
    if isinstance(step.get("scales"), Sequence):
        step["scales"] = [
            max(1, round(s * short / old_short)) if isinstance(s, int) else (width, height)
            for s in step["scales"]
        ]
    if "max_size" in step:
        step["max_size"] = max(1, round(step["max_size"] * short / old_short))


def _prefix(split: str) -> Node:
    """Folders of one split of a prepared dataset."""
    return {"img_path": f"{split}_img", "seg_map_path": f"{split}_label"}
