"""What `overrides` of a model may say: values for keys that have an effect, and no code.

MMEngine's registries import any dotted name that a config gives as a type, and a config is
written as Python. Overrides come from YAML, which is data, so only plain names of types and plain
keys pass. Never imports torch or mmseg.
"""

import re
from collections.abc import Iterator, Mapping

from mmengine.config import Config, ConfigDict

from segbench.config.schema import number_from_text
from segbench.errors import ModelError, did_you_mean
from segbench.recipe.heads import refuse_odd_heads

# a name in a registry of MMSegmentation or MMEngine, or in that of a package for further models
PLAIN_TYPE = re.compile(r"((mmseg|mmdet|mmpretrain)\.)?[A-Za-z_][A-Za-z0-9_]*")
SCOPES = ("mmseg", "mmdet", "mmpretrain")
# keys such as `backbone.layers.0.norm` of `paramwise_cfg.custom_keys`, and no quotes
PLAIN_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-/ ]*")
HONOURED = ("model", "optim_wrapper", "param_scheduler", "train_pipeline")
PIPELINE = ("train_dataloader", "dataset", "pipeline")
# keys that a config has but that segbench sets itself, and what to use instead
SET_ELSEWHERE = {
    "train_dataloader.batch_size": "use `training.batch_size`",
    "train_dataloader": "only `train_dataloader.dataset.pipeline` can be changed",
    "train_cfg": "use `training.max_iters` and `training.val_interval`",
    "val_pipeline": "use `training.image_size`",
    "test_pipeline": "use `training.image_size`",
    "val_dataloader": "use `training.image_size`",
    "test_dataloader": "use `training.image_size`",
    "crop_size": "use `training.crop_size`",
    "randomness": "use `seeds`",
    "load_from": "use `checkpoint` of the model",
    "data_root": "use `dataset`",
    "dataset_type": "use `dataset`",
    "optimizer": "use `overrides.optim_wrapper.optimizer`",
    "custom_imports": "write a config of your own, as a .py file, for code of your own",
}
SET_IN_MODEL = {
    "data_preprocessor.size": "use `training.crop_size`",
    "data_preprocessor.size_divisor": "use `training.crop_size`",
}


def merge_overrides(config: Config, overrides: Mapping[str, object]) -> None:
    """Merge what the user changes into a config, by MMEngine's rules.

    Args:
        config: of the zoo, or a user's own; changed in place.
        overrides: as the user wrote them.

    Raises:
        ModelError: a key is unknown or without effect, names code, or the values do not go
            together.
    """
    for key in overrides:
        if key not in HONOURED and key not in SET_ELSEWHERE and key not in config:
            raise ModelError(
                f"`overrides.{key}`: the config has no such key.{did_you_mean(key, config)}"
            )
    refuse_code(overrides, "overrides")
    _refuse_without_effect(overrides)
    given = {key: typed(value) for key, value in overrides.items()}
    pipeline = given.pop("train_pipeline", None)
    try:
        config.merge_from_dict(given)
        if pipeline is not None:
            _innermost(config.train_dataloader.dataset).pipeline = pipeline
    except Exception as error:  # a config, and what is merged into it, can hold anything
        raise ModelError(
            f"`overrides`: cannot be merged ({type(error).__name__}: {error}). Check the keys "
            "inside it."
        ) from None
    if overrides.get("model"):  # here too, so that a dry run says it
        refuse_odd_heads(config.get("model"))


def refuse_code(node: object, key: str) -> None:
    """Make sure that a value from YAML names no code and cannot become code when it is written.

    Args:
        node: the value.
        key: where it stands, for messages.

    Raises:
        ModelError: names the key.
    """
    for place, name, value in _entries(node, key):
        if not isinstance(name, str) or not PLAIN_KEY.fullmatch(name):
            raise ModelError(
                f"`{place}`: the key {name!r} is not allowed; use letters, digits, '_', '-', "
                "'.', '/' and spaces"
            )
        if name in ("type", "constructor") and isinstance(value, str):
            if not PLAIN_TYPE.fullmatch(value):
                raise ModelError(
                    f"`{place}.{name}`: '{value}' is not the name of a type in MMSegmentation's "
                    "registries. A dotted name would run code; write the name alone, such as "
                    "`AdamW`, or write a config of your own, as a .py file"
                )
        elif name == "_scope_" and value not in SCOPES:
            raise ModelError(f"`{place}._scope_`: must be one of {', '.join(SCOPES)}")


def _entries(node: object, key: str) -> Iterator[tuple[str, object, object]]:
    """Every key of every mapping inside a value: where the mapping stands, key, and its value."""
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield key, name, value
            yield from _entries(value, f"{key}.{name}")
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _entries(value, f"{key}[{i}]")


def _refuse_without_effect(overrides: Mapping[str, object]) -> None:
    for key, value in overrides.items():
        # a key that is taken away is missed later, if anything needs it
        if key in HONOURED or value is None or (key == PIPELINE[0] and _is_pipeline(value)):
            continue
        paths = [f"{key}.{name}" for name in value] if isinstance(value, Mapping) else []
        path = next((path for path in paths if path in SET_ELSEWHERE), key)
        advice = SET_ELSEWHERE.get(path, "segbench sets it itself, or does not use it")
        raise ModelError(
            f"`overrides.{path}`: has no effect; {advice}. Keys with an effect: "
            f"{', '.join(HONOURED)}"
        )
    for place, name, _ in _entries(overrides.get("model"), "model"):
        path = f"{place}.{name}"
        for ending, advice in SET_IN_MODEL.items():
            if path.endswith(f".{ending}"):
                raise ModelError(f"`overrides.{path}`: has no effect; {advice}")


def _is_pipeline(dataloader: object) -> bool:
    """Whether the override of a dataloader is one of its pipeline and of nothing else."""
    for key in PIPELINE[1:]:
        if not isinstance(dataloader, Mapping) or list(dataloader) != [key]:
            return False
        dataloader = dataloader[key]
    return True


def _innermost(dataset: ConfigDict) -> ConfigDict:
    """The dataset inside wrappers such as RepeatDataset."""
    while "pipeline" not in dataset and "dataset" in dataset:
        dataset = dataset["dataset"]
    return dataset


def typed(value: object) -> object:
    """Numbers that YAML or the command line hands over as text, such as 1e-3, as numbers."""
    if isinstance(value, Mapping):
        return {key: typed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [typed(inner) for inner in value]
    return number_from_text(value) if isinstance(value, str) else value
