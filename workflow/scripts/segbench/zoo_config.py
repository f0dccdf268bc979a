"""Read a config of the model zoo: its heads and losses, crop, schedule and transforms.

Imports mmengine's config, never torch or mmseg.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from segbench.errors import ModelError, did_you_mean
from segbench.schema import number_from_text

# segmentors that no adaptation to other classes can make work
OTHER_TASKS = {
    "MultimodalEncoderDecoder": "compares images with CLIP's text features of class names, which "
    "exist only for the published classes (SAN). Choose a model with a trained class layer",
    "DepthEstimator": "estimates depth and knows no classes (VPD). Choose a segmentation model",
}
Node = dict[str, Any]
Shape = tuple[int, int]


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


def merge_overrides(config: Config, overrides: Mapping[str, Any]) -> None:
    """Merge what the user changes into a config, by MMEngine's rules.

    Raises:
        ModelError: a key is unknown, or the values do not go together.
    """
    for key in overrides:
        if key not in config:
            raise ModelError(
                f"`overrides.{key}`: the config has no such key.{did_you_mean(key, config)}"
            )
    try:
        config.merge_from_dict(typed(overrides))
    except Exception as error:  # a config, and what is merged into it, can hold anything
        raise ModelError(
            f"`overrides`: cannot be merged ({type(error).__name__}: {error}). Check the keys "
            "inside it."
        ) from None


def refuse_unwritable(node: Any, key: str = "") -> None:
    """Make sure that a config can be written as text and read again as it was.

    Raises:
        ModelError: names the key.
    """
    if isinstance(node, dict):
        for name, value in node.items():
            refuse_unwritable(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list | tuple | set):
        for i, value in enumerate(node):
            refuse_unwritable(value, f"{key}[{i}]")
    elif isinstance(node, float) and not math.isfinite(node):
        raise ModelError(f"`{key}` is {node}; a finite number is needed")
    elif not isinstance(node, str | bytes | int | float | bool | None):
        raise ModelError(f"`{key}` is a {type(node).__name__}; write it as text or a number")


def walk(node: Any) -> Iterator[Node]:
    """Every mapping inside a config, the node itself first."""
    if isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from walk(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from walk(value)


def typed(value: Any) -> Any:
    """Numbers that YAML or the command line hands over as text, such as 1e-3, as numbers."""
    if isinstance(value, Mapping):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [typed(inner) for inner in value]
    return number_from_text(value) if isinstance(value, str) else value


def drop_pretrained(node: Node) -> bool:
    """Remove weights to download from a mapping's `init_cfg`; keep other initialisers."""
    init = node.get("init_cfg")
    if isinstance(init, list):
        kept = [one for one in init if one.get("type") != "Pretrained"]
        if len(kept) == len(init):
            return False
        node["init_cfg"] = kept or None
        return True
    if isinstance(init, dict) and init.get("type") == "Pretrained":
        del node["init_cfg"]
        return True
    return False


def pretrained_reference(model: Node) -> str | None:
    """Where a model's config takes pretrained weights of its backbone from, None if nowhere."""
    if isinstance(model.get("pretrained"), str):
        return str(model["pretrained"])
    backbone = model.get("backbone") or {}
    for node in (backbone, inner_backbone(backbone)):
        if isinstance(node.get("pretrained"), str):
            return str(node["pretrained"])
        init = node.get("init_cfg")
        for one in init if isinstance(init, list) else [init]:
            if isinstance(one, dict) and str(one.get("type")).startswith("Pretrained"):
                return str(one["checkpoint"])
    return None


def inner_backbone(backbone: Node) -> Node:
    """The part of a backbone that ImageNet weights are for: ICNet and BiSeNet wrap a ResNet."""
    inner = backbone.get("backbone_cfg")
    return inner if isinstance(inner, dict) else backbone


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


def as_pair(size: int | Sequence[int]) -> Shape:
    """A size that may be given as one number."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def refuse_incomplete(config: Config) -> None:
    """Make sure that a config has what an adaptation starts from.

    Raises:
        ModelError: says what is missing.
    """
    for key in ("model", "optim_wrapper", "train_dataloader"):
        if not isinstance(config.get(key), dict):
            raise ModelError(f"has no `{key}`, so it is no complete config")
    if reason := OTHER_TASKS.get(str(config.model.get("type"))):
        raise ModelError(reason)
    if not isinstance(config.model.get("backbone"), dict):
        raise ModelError("is no encoder and decoder with a `backbone`")
    channels = len((config.model.get("data_preprocessor") or {}).get("mean") or [0, 0, 0])
    if channels != 3:
        raise ModelError(
            f"takes images of {channels} channels, such as pairs of images or further bands; "
            "segbench prepares RGB images. Choose a model for RGB"
        )
    optimizer = config.optim_wrapper.get("optimizer")
    if not isinstance(optimizer, dict) or not isinstance(optimizer.get("lr"), int | float):
        raise ModelError("has no `optim_wrapper.optimizer` with a number as `lr`")
