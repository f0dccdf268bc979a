"""Build the model and the data of a rendered config. Imports torch and mmseg."""

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

from segbench.engine.lean_imports import SELDOM_USED, put_off
from segbench.engine.operators import (
    lay_out_channels_last,
    stand_in_for_compiled_operators,
    stand_in_for_torchvision,
)

# at import these warn and print about operators and packages that most models never use
with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), put_off(SELDOM_USED):
    warnings.simplefilter("ignore")
    stand_in_for_compiled_operators()
    stand_in_for_torchvision()
    import mmseg.datasets
    import mmseg.models  # noqa: F401

    import segbench.engine.timm_backbone  # noqa: F401  # a backbone that configs can name

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS
from torch import nn
from torch.utils.data import DataLoader

from segbench.config.class_maps import sources_of
from segbench.config.training import UNEVEN
from segbench.engine.checkpoints.class_rows import ClassRows, load_finetuned, load_whole
from segbench.engine.checkpoints.load import LoadReport, load_backbone
from segbench.engine.conditions import Condition, UnderConditions
from segbench.engine.dataset import EqualSizes, FrameDataset, RareClassSampler
from segbench.engine.decoded import kept_decoded, with_decoded
from segbench.engine.equal_transforms import equal_but_faster, widen_labels
from segbench.engine.execution import Execution
from segbench.engine.processes import ALONE, Processes
from segbench.engine.sampling import PositionedDataset, PositionSampler
from segbench.engine.transforms import computed_here
from segbench.engine.trust import trust_nothing
from segbench.errors import ModelError
from segbench.recipe.growing_crop import GrowingCrop
from segbench.recipe.model import set_classes
from segbench.recipe.section import RunSection, SourceCheckpoint
from segbench.system.pools import end_threads_of_opencv
from segbench.zoo.tree import inner_backbone

trust_nothing()
LOG = logging.getLogger(__name__)


def load_config(path: Path) -> Config:
    """Load a rendered config and make mmseg the place where its types are looked up."""
    # braces in a class name are not variables
    config = Config.fromfile(str(path), use_predefined_variables=False, import_custom_modules=False)
    init_default_scope("mmseg")
    # MMEngine would log how each of a thousand tensors was initialised
    MMLogger.get_current_instance().setLevel("WARNING")
    return config


def backbone_weights(config: Config) -> Path | None:
    """The checkpoint from which the backbone of a rendered config starts, None if random."""
    init = inner_backbone(config.model.backbone).get("init_cfg")
    if isinstance(init, dict) and init.get("type") == "Pretrained":
        return Path(init["checkpoint"])
    return None


def build_model(
    config: Config, seed: int = 0, load: bool = True
) -> tuple[nn.Module, LoadReport | None]:
    """Build a model with its initial weights on the CPU.

    Args:
        config: a rendered config.
        seed: decides the random weights.
        load: whether to load the weights that it starts from; a checkpoint of a run that is not
            trained yet is left out.

    Returns:
        The model, and what it took from a checkpoint (None for `scratch`).

    Raises:
        ModelError: the model cannot be built here, or its weights do not fit.
    """
    model_config, weights = config.model.copy(), backbone_weights(config)
    if weights:
        # loaded below instead, where the file is not trusted and the outcome is reported
        del inner_backbone(model_config.backbone)["init_cfg"]
    torch.manual_seed(seed)
    model = _construct(model_config)
    try:
        model.init_weights()  # type: ignore[operator]
    except Exception as error:  # a model's code is foreign
        raise ModelError(f"cannot be initialised: {type(error).__name__}: {error}") from None
    if not load:
        return model, None
    if weights:
        # ICNet and BiSeNet wrap the backbone that the weights are for
        wraps = inner_backbone(model_config.backbone) is not model_config.backbone
        backbone = model.get_submodule("backbone.backbone" if wraps else "backbone")
        return model, load_backbone(backbone, weights)
    return model, _load_source(model, config)


def trained_model(config: Config, checkpoint: Path) -> nn.Module:
    """Build a model on the CPU with the weights that its training kept."""
    model, _ = build_model(config, load=False)
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    model.load_state_dict(state)
    return model


def ready_on(device: str, model: nn.Module) -> nn.Module:
    """Move a model to where it predicts, and lay it out in memory as is fastest there."""
    model.to(device).eval()
    if device == "cpu":
        lay_out_channels_last(model)
    return model


def class_axes(config: Config) -> dict[str, int]:
    """Find the entries of a model whose shape depends on the number of classes.

    Args:
        config: a rendered config.

    Returns:
        Of every such entry the axis that grows with the classes.
    """
    shapes = []
    for more in (0, 1):
        model_config = copy.deepcopy(config.model)
        inner_backbone(model_config.backbone).pop("init_cfg", None)
        count = len(config.train_dataloader.dataset.metainfo.classes)
        set_classes(model_config, count + more, note=lambda _: None)
        shapes.append({k: v.shape for k, v in _construct(model_config).state_dict().items()})
    before, after = shapes
    return {
        key: next(i for i in range(len(shape)) if shape[i] != after[key][i])
        for key, shape in before.items()
        if key in after and shape != after[key]
    }


def class_rows(source: SourceCheckpoint, config: Config) -> ClassRows:
    """Which classes of a source checkpoint stand for which classes of a rendered config."""
    target = config.train_dataloader.dataset.metainfo.classes
    return ClassRows(
        source=source.classes,
        target=tuple(target),
        sources_of=sources_of(source.class_map, len(target)),
    )


def _construct(model_config: Config) -> nn.Module:
    try:
        model: nn.Module = MODELS.build(model_config)
    except ModelError as error:
        raise ModelError(_innermost(error)) from None
    except ImportError as error:
        raise ModelError(f"needs a package or compiled operator that is missing: {error}") from None
    except Exception as error:  # a model's code is foreign, and its config can hold anything
        raise ModelError(f"cannot be built: {type(error).__name__}: {error}") from None
    widen_labels(model)
    return model


def _innermost(error: BaseException) -> str:
    """What was said first: registries put the names of classes in front of a message."""
    said, inner = error, error.__context__
    while inner is not None:
        said, inner = inner if isinstance(inner, ModelError) else said, inner.__context__
    return str(said)


def _load_source(model: nn.Module, config: Config) -> LoadReport | None:
    section = RunSection.of(config)
    source = section.source
    if source is None or not (path := Path(source.checkpoint)).is_file():
        return None
    if section.is_zero_shot:
        return load_whole(model, path)
    return load_finetuned(model, path, class_axes(config), class_rows(source, config))


def training_loader(
    config: Config,
    seed: int,
    first_iteration: int,
    last_iteration: int,
    workers: int,
    processes: Processes = ALONE,
    decoded: Path | None = None,
) -> DataLoader[object]:
    """Batches for the iterations `first_iteration` to `last_iteration` (exclusive).

    `decoded` holds the images decoded, if they are kept so.

    Raises:
        ModelError: the images of a batch cannot be shared evenly by the processes.
    """
    end_threads_of_opencv()
    batch = config.train_dataloader.batch_size
    if batch % processes.size:
        raise ModelError(UNEVEN.format(batch=batch, devices=processes.size))
    return DataLoader(
        training_frames(config, seed, decoded),
        batch_size=batch // processes.size,
        sampler=PositionSampler(
            first_iteration * batch, last_iteration * batch, batch, processes.rank, processes.size
        ),
        num_workers=workers,
        collate_fn=pseudo_collate,
        pin_memory=torch.cuda.is_available(),
    )


def training_frames(config: Config, seed: int, decoded: Path | None = None) -> PositionedDataset:
    """The training images of a rendered config by their position in a training."""
    frames = DATASETS.build(training_images(config, decoded))
    sampler, order = config.train_dataloader.sampler, None
    if sampler.type == "RareClassSampler":
        order = RareClassSampler(frames, sampler.probabilities, seed).order
    growth = GrowingCrop.of(config)
    return PositionedDataset(frames, seed, order, growth.at_position if growth else None)


def last_batch(config: Config, seed: int) -> dict[str, list[object]]:
    """The batch that a training ends with: its crops are whole."""
    frames, size = training_frames(config, seed), config.train_dataloader.batch_size
    first = (config.train_cfg.max_iters - 1) * size
    batch = [frames[position] for position in range(first, first + size)]
    collated: dict[str, list[object]] = pseudo_collate(batch)
    return collated


def decoded_for(config: Config, folder: Path, execution: Execution) -> Path | None:
    """Where the training images of a rendered config are kept decoded, None if they are not."""
    frames: FrameDataset = DATASETS.build(copy.deepcopy(config.train_dataloader.dataset))
    samples = config.train_cfg.max_iters * config.train_dataloader.batch_size
    return kept_decoded(frames, folder, samples, execution)


def training_images(config: Config, decoded: Path | None = None) -> Config:
    """The training dataset of a rendered config, with transforms that compute what is seen."""
    settings = copy.deepcopy(config.train_dataloader.dataset)
    settings.pipeline, reason = computed_here(settings.pipeline)
    if decoded is not None:
        settings.pipeline = with_decoded(settings.pipeline, decoded)
    if reason:
        LOG.info("images are resized as a whole before they are cropped: %s", reason)
    return settings


def validation_loader(
    config: Config, workers: int, processes: Processes = ALONE
) -> DataLoader[object]:
    """The validation images in the order of the split file, or a process's part of them."""
    end_threads_of_opencv()
    frames = _whole_images(config.val_dataloader)
    return _in_order(frames, _batches(config, frames, processes), workers)


def scoring_loader(
    config: Config, workers: int, conditions: Sequence[Condition] = ()
) -> DataLoader[object]:
    """The images that models are compared on, in the order of the split file.

    Args:
        config: rendered config of a run.
        workers: processes that read images.
        conditions: under which each batch is given as well, if any, in a list.
    """
    end_threads_of_opencv()
    frames = scored_images(config)
    batches = _batches(config, frames, ALONE)
    return _in_order(
        UnderConditions(frames, conditions) if conditions else frames, batches, workers
    )


def scored_images(config: Config) -> FrameDataset:
    """The images that models are compared on, in the order of the split file.

    Each is `inputs`, uint8 [3, height, width], and `data_samples`, with its label.
    """
    return _whole_images(config.test_dataloader)


def _whole_images(loader: Config) -> FrameDataset:
    settings = copy.deepcopy(loader.dataset)
    settings.pipeline = equal_but_faster(settings.pipeline)
    frames: FrameDataset = DATASETS.build(settings)
    return frames


def _batches(config: Config, frames: FrameDataset, processes: Processes) -> EqualSizes:
    section, sizes = RunSection.of(config), frames.sizes()
    height, width = section.crop_size
    return EqualSizes(sizes, processes.share(len(sizes)), section.batch_size * height * width)


def _in_order(
    frames: FrameDataset | UnderConditions, batches: EqualSizes, workers: int
) -> DataLoader[object]:
    return DataLoader(
        frames,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=pseudo_collate,
        pin_memory=torch.cuda.is_available(),
    )
