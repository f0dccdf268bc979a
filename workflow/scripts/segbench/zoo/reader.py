"""Read a config of the model zoo: its crop, schedule and transforms.

Imports mmengine's config, never torch or mmseg.
"""

from pathlib import Path

from mmengine.config import Config

from segbench.errors import ModelError
from segbench.zoo.families import OTHER_TASKS
from segbench.zoo.tree import Node, Shape, as_pair


def read_config(path: Path) -> Config:
    """Read an MMSegmentation config file.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return Config.fromfile(str(path), import_custom_modules=False)
    except RecursionError:
        reason = "the files in `_base_` name each other in a circle"
    except (Exception, SystemExit) as error:  # a config is Python: anything can go wrong in it
        reason = f"{type(error).__name__}: {error}"
    raise ModelError(f"{path}: cannot be read as an MMSegmentation config: {reason}")


def published_crop(config: Config) -> Shape:
    """Crop of the zoo config, height and width."""
    for step in train_pipeline(config):
        if "crop_size" in step:
            return as_pair(step["crop_size"])
    size = (config.model.get("data_preprocessor") or {}).get("size")
    return as_pair(size) if size else (512, 512)


def published_iters(config: Config) -> int:
    """Length of the published training, in iterations."""
    loop = config.get("train_cfg") or {}
    return int(loop.get("max_iters") or 80_000)


def train_pipeline(config: Config) -> list[Node]:
    """The training transforms, looked up through dataset wrappers such as RepeatDataset."""
    dataset = config.get("train_dataloader", {}).get("dataset", {})
    while "pipeline" not in dataset and "dataset" in dataset:
        dataset = dataset["dataset"]
    return list(dataset.get("pipeline") or config.get("train_pipeline") or [])


def refuse_incomplete(config: Config) -> None:
    """Make sure that a config has what an adaptation starts from.

    Raises:
        ModelError: says what is missing.
    """
    for key in ("model", "optim_wrapper", "train_dataloader"):
        if not isinstance(config.get(key), dict):
            raise ModelError(f"has no `{key}`, so it is not a complete config")
    if reason := OTHER_TASKS.get(str(config.model.get("type"))):
        raise ModelError(reason)
    if not isinstance(config.model.get("backbone"), dict):
        raise ModelError("is not an encoder and decoder with a `backbone`")
    channels = len((config.model.get("data_preprocessor") or {}).get("mean") or [0, 0, 0])
    if channels != 3:
        raise ModelError(
            f"takes images of {channels} channels, such as pairs of images or further bands; "
            "segbench prepares RGB images. Choose a model for RGB"
        )
    optimizer = config.optim_wrapper.get("optimizer")
    if not isinstance(optimizer, dict) or not isinstance(optimizer.get("lr"), int | float):
        raise ModelError("has no `optim_wrapper.optimizer` with a number as `lr`")
