"""What a zoo config was trained from and on: weights that it names, its checkpoint, its classes.

Imports MMEngine's config when it reads one, never torch or mmseg.
"""

import ast
import contextlib
import functools
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from segbench.errors import ConfigError
from segbench.zoo.index import published
from segbench.zoo.names import config_path
from segbench.zoo.tree import pretrained_reference


@functools.cache
def read(name: str) -> Any:
    """Read a zoo config by its name, or a user's own by its path.

    Raises:
        ModelError: it cannot be read.
    """
    # only where a config must be read: it takes a quarter of a second, and dry runs are frequent
    from segbench.zoo.reader import read_config

    return read_config(config_path(name))


@contextlib.contextmanager
def _foreign(name: str) -> Iterator[None]:
    """Turn what a config of any shape can cause into a message that names it."""
    try:
        yield
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ConfigError(
            f"'{name}': is not laid out as an MMSegmentation config ({type(error).__name__}: "
            f"{error}). Correct it."
        ) from None


def backbone_reference(name: str, config: Mapping[str, Any]) -> str:
    """The pretrained weights that a config names for its backbone.

    Args:
        name: of the config, for messages.
        config: its content, overrides included.

    Raises:
        SegbenchError: it names none, or a file that is nowhere to be downloaded.
    """
    with _foreign(name):
        reference = pretrained_reference(config.get("model") or {})
    if reference is None:
        raise ConfigError(
            f"'{name}' names no pretrained weights. Name some in `backbone_weights`, or leave out "
            "`imagenet` for this model."
        )
    if "://" not in reference:
        raise ConfigError(
            f"'{name}' was trained from the file '{reference}', which is published nowhere as it "
            "is. Name a converted file in `backbone_weights`, or leave out `imagenet`."
        )
    return reference


def published_checkpoint(name: str) -> tuple[str, str]:
    """URL of the checkpoint that is published for a config, and what its name says of its hash.

    Raises:
        ConfigError: none is published.
    """
    found = None if "/" in name else published(name)
    if found is None or not found.weights_url:
        raise ConfigError(
            f"no checkpoint is published for '{name}'. Name one in `checkpoint`, choose another "
            "config, or train the source here with `source: {dataset: PATH}`."
        )
    return found.weights_url, found.sha256_prefix or ""


def classes_of_checkpoint(name: str) -> tuple[str, ...]:
    """Names of the classes that a config's checkpoint predicts, by id.

    Raises:
        ConfigError: the dataset that the config names has no list of classes.
    """
    config = read(name)
    with _foreign(name):
        dataset = config.get("train_dataloader", {}).get("dataset", {})
        # wrappers such as RepeatDataset hold one, ConcatDataset several of the same classes
        while "pipeline" not in dataset and ("dataset" in dataset or "datasets" in dataset):
            dataset = dataset["dataset"] if "dataset" in dataset else dataset["datasets"][0]
        kind = dataset.get("type") or config.get("dataset_type")
        given = (dataset.get("metainfo") or {}).get("classes")
        if given is not None and not _are_names(given):
            raise TypeError(f"`classes` is not a list of names: {given!r}")
    classes = tuple(given) if given else _classes_of_type().get(str(kind))
    if not classes:
        raise ConfigError(
            f"'{name}' was trained on a dataset of type '{kind}', whose classes are not known. "
            "Write `metainfo = dict(classes=[...])` into its dataset in a config of your own."
        )
    return classes


def _are_names(given: object) -> bool:
    return isinstance(given, list | tuple) and all(isinstance(name, str) for name in given)


@functools.cache
def _classes_of_type() -> dict[str, tuple[str, ...]]:
    """Classes by dataset type, read from MMSegmentation's source without importing it."""
    spec = importlib.util.find_spec("mmseg")
    folder = Path(spec.origin).parent / "datasets" if spec and spec.origin else Path()
    known: dict[str, tuple[str, ...]] = {}
    bases: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [b.id for b in node.bases if isinstance(b, ast.Name)]
                if names := _classes_in(node):
                    known[node.name] = names
    for name, parents in bases.items():
        for parent in parents:
            if name not in known and parent in known:
                known[name] = known[parent]
    return known


def _classes_in(node: ast.ClassDef) -> tuple[str, ...]:
    """The literal `classes` of a class's METAINFO."""
    for statement in node.body:
        value: object = getattr(statement, "value", None)
        targets = getattr(statement, "targets", [])
        if not any(isinstance(t, ast.Name) and t.id == "METAINFO" for t in targets):
            continue
        for keyword in getattr(value, "keywords", []):
            if keyword.arg == "classes":
                try:
                    return tuple(str(name).strip() for name in ast.literal_eval(keyword.value))
                except ValueError:
                    return ()
    return ()
