"""Build the model and the data of a rendered config. Imports torch and mmseg."""

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

# at import these warn and print about operators and packages that most models never use
with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
    warnings.simplefilter("ignore")
    import mmseg.datasets
    import mmseg.models  # noqa: F401

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS
from torch import nn
from torch.utils.data import DataLoader

from segbench.errors import ModelError
from segbench.frame_dataset import RareClassSampler
from segbench.sampling import PositionedDataset, PositionSampler
from segbench.weights import LoadReport, load_backbone


def load_config(path: Path) -> Config:
    """Load a rendered config and make mmseg the place where its types are looked up."""
    # braces in a class name are no variables
    config = Config.fromfile(str(path), use_predefined_variables=False, import_custom_modules=False)
    init_default_scope("mmseg")
    # MMEngine would log how each of a thousand tensors was initialised
    MMLogger.get_current_instance().setLevel("WARNING")
    return config


def backbone_weights(config: Config) -> Path | None:
    """The checkpoint from which the backbone of a rendered config starts, None if random."""
    init = config.model.backbone.get("init_cfg")
    pretrained = isinstance(init, dict) and init.get("type") == "Pretrained"
    return Path(init["checkpoint"]) if pretrained else None


def build_model(config: Config, seed: int = 0) -> tuple[nn.Module, LoadReport | None]:
    """Build a model with its initial weights on the CPU.

    Args:
        config: a rendered config.
        seed: decides the random weights.

    Returns:
        The model, and what the backbone took from a checkpoint (None for `scratch`).

    Raises:
        ModelError: the model cannot be built here, or its weights do not fit.
    """
    model_config, weights = config.model.copy(), backbone_weights(config)
    if weights:
        # loaded below instead, where the file is not trusted and the outcome is reported
        del model_config.backbone["init_cfg"]
    torch.manual_seed(seed)
    try:
        model = MODELS.build(model_config)
        model.init_weights()
    except (ImportError, AttributeError) as error:
        raise ModelError(f"needs a package or compiled operator that is missing: {error}") from None
    except Exception as error:  # a model's code is foreign, and its config can hold anything
        raise ModelError(f"cannot be built: {type(error).__name__}: {error}") from None
    return model, load_backbone(model.backbone, weights) if weights else None


def training_loader(
    config: Config, seed: int, first_iteration: int, last_iteration: int, workers: int
) -> DataLoader[Any]:
    """Batches for the iterations `first_iteration` to `last_iteration` (exclusive)."""
    batch = config.train_dataloader.batch_size
    frames = DATASETS.build(config.train_dataloader.dataset)
    sampler, order = config.train_dataloader.sampler, None
    if sampler.type == "RareClassSampler":
        order = RareClassSampler(frames, sampler.probabilities, seed).order
    return DataLoader(
        PositionedDataset(frames, seed, order),
        batch_size=batch,
        sampler=PositionSampler(first_iteration * batch, last_iteration * batch),
        num_workers=workers,
        collate_fn=pseudo_collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_one_thread_per_worker,
    )


def validation_loader(config: Config, workers: int) -> DataLoader[Any]:
    """The validation images one by one, in the order of the split file."""
    return DataLoader(
        DATASETS.build(config.val_dataloader.dataset),
        batch_size=1,
        num_workers=workers,
        collate_fn=pseudo_collate,
        pin_memory=torch.cuda.is_available(),
        worker_init_fn=_one_thread_per_worker,
    )


def _one_thread_per_worker(_: int) -> None:
    import cv2

    cv2.setNumThreads(0)
