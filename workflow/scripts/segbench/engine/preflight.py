"""Prove that a model can be trained and evaluated, before any training starts.

Builds it for its dataset, loads its weights, takes one training step on two random crops and
predicts one image. To take seconds, large crops and images are tried smaller, after the layers'
shapes have been proven in full on the meta device, which also tells how much memory a training
takes. Imports torch and mmseg.
"""

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIMIZERS
from torch import nn

from segbench.datasets.manifest import Manifest
from segbench.engine import memory
from segbench.engine.build import build_model, load_config
from segbench.engine.deterministic import OperationsThatVary
from segbench.engine.optimizers import build_optimizer, build_schedulers
from segbench.engine.shortcuts.take import take_shortcuts
from segbench.errors import ModelError
from segbench.recipe.growing_crop import GrowingCrop
from segbench.recipe.optimizer_names import unknown_optimizer
from segbench.recipe.section import RunSection
from segbench.system.records import Record
from segbench.zoo.families import COARSEST_STRIDE, FIXED_SIZE_BACKBONES
from segbench.zoo.tree import Shape

LOG = logging.getLogger(__name__)
# longest side of the crop and the image that are tried
TRIED_CROP, TRIED_IMAGE = 256, 256
NO_NUMBER = "not a finite number"
# what PyTorch says when a batch or a crop is too small, or a setting does not fit, and what to do
REMEDIES = {
    "more than 1 value per channel": "Batch norm needs more values: raise `batch_size` to 2 or "
    "more, or raise `crop_size`.",
    "kernel size can't be greater": "The crop is too small for its pooling: raise `crop_size`.",
    "output size is too small": "The crop is too small for its pooling: raise `crop_size`.",
    "sizes of tensors must match": "Choose a `crop_size` whose sides are multiples of 32.",
    NO_NUMBER: "Lower `learning_rate`, or check the losses in `overrides` or in your config.",
    "channels, but got": "Correct `in_channels`, in `overrides` or in your config.",
    "without overflow": "Lower `learning_rate`, or a number in `overrides` or in your config.",
    "is not in the": "Check this `type`, in `overrides` or in your config.",
    "must match the size of tensor": "Choose a `crop_size` whose sides are multiples of 32.",
}


class ModelCheck(Record):
    """What the check of a model found, where nothing stops its training.

    Attributes:
        run: `model/initialization/seed0`.
        parameters: of the model.
        memory_bytes: that a training takes; None where nothing is trained.
        memory: the same in a sentence.
        weights: what was loaded at the start, in a sentence.
        adaptations: what was changed of the published recipe, in sentences.
        varies_by: operations of a training step that have no deterministic kernel on a GPU.
    """

    run: str
    parameters: int
    memory_bytes: int | None
    memory: str
    weights: str
    adaptations: tuple[str, ...]
    varies_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Trial:
    """What a training step showed.

    Attributes:
        found: the memory that a training takes; None where nothing is trained.
        note: the same in a sentence.
        varies_by: operations that have no deterministic kernel on a GPU.
    """

    found: memory.Estimate | None = None
    note: str = "nothing is trained"
    varies_by: tuple[str, ...] = ()


def preflight(config_path: Path, manifest_path: Path, report_path: Path) -> None:
    """Check one model and write what was found.

    Args:
        config_path: rendered config of one of its runs.
        manifest_path: `manifest.json` of the prepared dataset.
        report_path: JSON with the number of parameters, the adaptations and the weights.

    Raises:
        ModelError: the model cannot be built, trained or evaluated, or takes far more memory than
            there is, with the remedy.
    """
    # checks run side by side, and one thread each is faster than all of them in each
    torch.set_num_threads(1)
    config = load_config(config_path)
    section = RunSection.of(config)
    run = section.run
    height, width = Manifest.read(manifest_path).common_size
    try:
        model, weights = build_model(config, config.randomness.seed)
    except ModelError as error:
        raise ModelError(f"{run}: {error}") from None
    take_shortcuts(model)
    trial = _Trial() if section.is_zero_shot else _try_training(model, config, section)
    _try_image(model, config, run, height, width)
    check = ModelCheck(
        run=run,
        parameters=sum(p.numel() for p in model.parameters()),
        memory_bytes=trial.found.total if trial.found else None,
        memory=trial.note,
        weights=weights.sentence() if weights else "all random",
        adaptations=section.adaptations,
        varies_by=trial.varies_by,
    )
    check.write(report_path)
    LOG.info("%s: builds and trains, %.2f M parameters", run, check.parameters / 1e6)


def _try_training(model: nn.Module, config: Config, section: RunSection) -> _Trial:
    if section.compile:
        _try_compiler(section.run)
    found = memory.estimate(model, config, section.crop_size)
    # before the step: a model that is far too large should not take the machine with it
    note = _judge_memory(found, section.run) if found else ""
    with OperationsThatVary() as varying:
        kept = _try_step(model, config, section, shapes_are_proven=found is not None)
    if found is None:
        found = memory.estimate_of_step(model, config, kept, _images_tried(config))
        note = _judge_memory(found, section.run)
    if section.deterministic and varying.found:
        LOG.warning(
            "%s: `deterministic: true` does not give the same bits each time on a GPU: there is no "
            "deterministic kernel for %s",
            section.run,
            ", ".join(varying.found),
        )
    return _Trial(found, note, tuple(varying.found))


def _try_compiler(run: str) -> None:
    # only where it is needed: it imports a good part of PyTorch
    from segbench.engine.compiled import refuse_without_compiler

    refuse_without_compiler(run)


def _judge_memory(found: memory.Estimate, run: str) -> str:
    kind, sentence = memory.verdict(found, *memory.available())
    if kind == "beyond":
        raise ModelError(f"{run}: {sentence}")
    (LOG.warning if kind == "tight" else LOG.info)("%s: %s", run, sentence)
    return sentence


def _try_step(
    model: nn.Module, config: Config, section: RunSection, shapes_are_proven: bool
) -> int:
    """One training step on random pixels, with the transforms that come after loading.

    Returns:
        Bytes that it kept for its backward pass.
    """
    run, whole, growth = section.run, section.crop_size, GrowingCrop.of(config)
    crop, first = whole, growth.seen(0) if growth else None
    if shapes_are_proven and config.model.backbone.get("type") not in FIXED_SIZE_BACKBONES:
        crop = smaller(whole[0], TRIED_CROP), smaller(whole[1], TRIED_CROP)
        first = first and (smaller(first[0], TRIED_CROP), smaller(first[1], TRIED_CROP))
    model.train()
    torch.manual_seed(config.randomness.seed)  # the same config passes, or fails, every time
    try:
        optim = build_optimizer(model, config)
        build_schedulers(config, optim)
    except Exception as error:  # a config can hold anything
        problem = unknown_optimizer(config, OPTIMIZERS.module_dict) or f"{_first_line(error)}."
        raise ModelError(
            f"{run}: the optimizer or its schedule cannot be built: {problem} "
            "Check `optim_wrapper` and `param_scheduler` in `overrides` or in your config."
        ) from None
    # the smaller crop may be the fault
    kept = _try_crops(model, config, optim, [crop, whole] if crop != whole else [whole])
    if first:
        _try_crops(model, config, optim, [first], "Raise `growing_crop`, or set it to 1.")
    return kept


def _try_crops(
    model: nn.Module, config: Config, optim: OptimWrapper, crops: Sequence[Shape], of_size: str = ""
) -> int:
    """A training step on the first of some crops on which it works, as `_step`."""
    *others, (height, width) = crops
    for crop in others:
        with contextlib.suppress(Exception):
            return _step(model, config, crop, optim)
    try:
        return _step(model, config, (height, width), optim)
    except Exception as error:  # a model's code is foreign
        raise ModelError(
            f"{RunSection.of(config).run}: a training step on crops of {height}x{width} fails: "
            f"{_first_line(error)}. {_remedy(error, of_size)}"
        ) from None


def _step(model: BaseModel, config: Config, crop: Shape, optim: OptimWrapper) -> int:
    # otherwise a smaller crop is padded to the size of the config
    published, model.data_preprocessor.size = model.data_preprocessor.size, crop
    try:
        with memory.counting_kept(model) as kept_bytes:
            log = model.train_step(_batch(config, *crop), optim)
    finally:
        model.data_preprocessor.size = published
    if not torch.isfinite(log["loss"]).all():
        raise ValueError(f"the loss is {float(log['loss'])}, not a finite number")
    if not all(bool(torch.isfinite(weight).all()) for weight in model.parameters()):
        raise ValueError("it leaves a weight that is not a finite number")
    return kept_bytes()


def smaller(side: int, limit: int) -> int:
    """A shorter side that leaves the same rest when halved again and again.

    So whatever a model does with a side that does not divide, it does with this one.
    """
    return side if side <= limit else limit - COARSEST_STRIDE + side % COARSEST_STRIDE


def _remedy(error: Exception, of_size: str = "") -> str:
    """What to do about an error; a remedy of its own, if the size of the crop is to blame."""
    text = str(error).lower()
    if of_size and NO_NUMBER not in text:
        return of_size
    found = next((remedy for said, remedy in REMEDIES.items() if said in text), None)
    return found or "Try another `crop_size`, or a larger `batch_size`, for this model."


def _images_tried(config: Config) -> int:
    return min(2, int(config.train_dataloader.batch_size))


def _batch(config: Config, height: int, width: int) -> dict[str, object]:
    """Random images with labels, as many as a batch has but two at the most."""
    classes = len(config.train_dataloader.dataset.metainfo.classes)
    rng = np.random.default_rng(0)
    steps = [dict(step) for step in config.train_dataloader.dataset.pipeline if not _loads(step)]
    for step in steps:
        if "crop_size" in step:
            step["crop_size"] = (height, width)
    pipeline = Compose(steps)
    samples = [
        pipeline(_random_sample(rng, height, width, classes)) for _ in range(_images_tried(config))
    ]
    return {
        "inputs": [sample["inputs"] for sample in samples],
        "data_samples": [sample["data_samples"] for sample in samples],
    }


def _try_image(model: nn.Module, config: Config, run: str, height: int, width: int) -> None:
    tried = smaller(height, TRIED_IMAGE), smaller(width, TRIED_IMAGE)
    model.eval()
    try:
        try:
            _predict(model, config, *tried)
        except Exception:  # the smaller image may be the fault
            if tried == (height, width):
                raise
            _predict(model, config, height, width)
    except Exception as error:  # a model's code is foreign
        raise ModelError(
            f"{run}: predicting an image of {height}x{width} fails: {_first_line(error)}. "
            "Set `image_size` to a size this model accepts."
        ) from None


def _predict(model: BaseModel, config: Config, height: int, width: int) -> None:
    sample = {
        "img": np.zeros((height, width, 3), np.uint8),
        "img_shape": (height, width),
        "ori_shape": (height, width),
        "img_path": "",
    }
    steps = [step for step in config.val_dataloader.dataset.pipeline if not _loads(step)]
    packed = Compose(steps)(sample)
    with torch.no_grad():
        model.test_step({"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]})


def _random_sample(
    rng: np.random.Generator, height: int, width: int, classes: int
) -> dict[str, object]:
    return {
        "img": rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        "gt_seg_map": rng.integers(0, classes, (height, width), dtype=np.uint8),
        "seg_fields": ["gt_seg_map"],
        "img_shape": (height, width),
        "ori_shape": (height, width),
        "img_path": "",
        "seg_map_path": "",
        "reduce_zero_label": False,
    }


def _loads(step: dict[str, object]) -> bool:
    return str(step["type"]).startswith("Load")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
