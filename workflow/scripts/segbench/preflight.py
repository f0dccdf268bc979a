"""Prove that a model can be trained and evaluated, before any training starts.

Builds it for its dataset, loads its weights, takes one training step on two random crops and
predicts one image of the dataset's size. Imports torch and mmseg.
"""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from torch import nn

from segbench.building import build_model, load_config
from segbench.errors import ModelError
from segbench.optimizing import build_optimizer, build_schedulers

LOG = logging.getLogger(__name__)


def preflight(config_path: Path, manifest_path: Path, report_path: Path) -> None:
    """Check one model and write what was found.

    Args:
        config_path: rendered config of one of its runs.
        manifest_path: `manifest.json` of the prepared dataset.
        report_path: JSON with the number of parameters, the adaptations and the weights.

    Raises:
        ModelError: the model cannot be built, trained or evaluated, with the remedy.
    """
    config = load_config(config_path)
    run = config.segbench.run
    height, width = json.loads(manifest_path.read_text())["image_sizes"][0][:2]
    try:
        model, weights = build_model(config, config.randomness.seed)
    except ModelError as error:
        raise ModelError(f"{run}: {error}") from None
    if config.segbench.initialization != "zero_shot":  # nothing is trained there
        _try_step(model, config, run)
    _try_image(model, config, run, height, width)
    report = {
        "run": run,
        "parameters": sum(p.numel() for p in model.parameters()),
        "weights": weights.sentence() if weights else "all random",
        "adaptations": list(config.segbench.adaptations),
    }
    report_path.write_text(json.dumps(report, indent=1) + "\n")
    LOG.info("%s: builds and trains, %.2f M parameters", run, report["parameters"] / 1e6)


def _try_step(model: nn.Module, config: Config, run: str) -> None:
    """One training step on random pixels, with the transforms that come after loading."""
    height, width = config.segbench.crop_size
    model.train()
    try:
        optim = build_optimizer(model, config)
        build_schedulers(config, optim)
    except Exception as error:  # a config can hold anything
        raise ModelError(
            f"{run}: the optimizer or its schedule cannot be built: {_first_line(error)}. "
            "Check `optim_wrapper` and `param_scheduler` in `overrides` or in your config."
        ) from None
    try:
        batch = _batch(config, height, width)
        model.train_step(batch, optim)  # type: ignore[operator]
    except Exception as error:  # a model's code is foreign
        raise ModelError(
            f"{run}: a training step on crops of {height}x{width} fails: {_first_line(error)}. "
            "Try another `crop_size`, or a larger `batch_size`, for this model."
        ) from None


def _batch(config: Config, height: int, width: int) -> dict[str, Any]:
    """Random images with labels, as many as a batch has but two at the most."""
    classes = len(config.train_dataloader.dataset.metainfo.classes)
    rng = np.random.default_rng(0)
    pipeline = Compose(
        [step for step in config.train_dataloader.dataset.pipeline if not _loads(step)]
    )
    samples = [
        pipeline(_random_sample(rng, height, width, classes))
        for _ in range(min(2, config.train_dataloader.batch_size))
    ]
    return {
        "inputs": [sample["inputs"] for sample in samples],
        "data_samples": [sample["data_samples"] for sample in samples],
    }


def _try_image(model: nn.Module, config: Config, run: str, height: int, width: int) -> None:
    sample = {
        "img": np.zeros((height, width, 3), np.uint8),
        "img_shape": (height, width),
        "ori_shape": (height, width),
        "img_path": "",
    }
    steps = [step for step in config.val_dataloader.dataset.pipeline if not _loads(step)]
    packed = Compose(steps)(sample)
    batch = {"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}
    model.eval()
    try:
        with torch.no_grad():
            model.test_step(batch)  # type: ignore[operator]
    except Exception as error:  # a model's code is foreign
        raise ModelError(
            f"{run}: predicting an image of {height}x{width} fails: {_first_line(error)}. "
            "Set `image_size` to a size this model accepts."
        ) from None


def _random_sample(
    rng: np.random.Generator, height: int, width: int, classes: int
) -> dict[str, Any]:
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


def _loads(step: dict[str, Any]) -> bool:
    return str(step["type"]).startswith("Load")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
