"""A config as a tree of mappings: walk it, find what it reads from files, take that out.

Works on plain mappings and lists, whatever read them. Imports nothing of MMEngine.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from segbench.errors import ModelError

# what MMEngine draws random or constant weights with; it has no others that read no file
INITIALIZERS = ("Constant", "Xavier", "Normal", "TruncNormal", "Uniform", "Kaiming", "Caffe2Xavier")
# keys under which models of any package name files of weights
FILE_KEYS = ("pretrained", "checkpoint", "checkpoint_path", "checkpoint_file")
# one mapping in a config, and height and width in pixels
Node = dict[str, Any]
Shape = tuple[int, int]


def walk(node: object) -> Iterator[Node]:
    """Every mapping inside a config, the node itself first."""
    if isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from walk(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from walk(value)


def refuse_unwritable(node: object, key: str = "") -> None:
    """Make sure that a config can be written as text and read again as it was.

    Raises:
        ModelError: names the key.
    """
    if isinstance(node, dict):
        for name, value in node.items():
            place = f"{key}.{name}" if key else str(name)
            # MMEngine writes keys between quotes as they are
            if isinstance(name, str) and (set("'\\\n\r") & set(name) or not name.isprintable()):
                raise ModelError(f"`{place}`: a key with a quote, a backslash or a line break")
            refuse_unwritable(value, place)
    elif isinstance(node, list | tuple | set):
        for i, value in enumerate(node):
            refuse_unwritable(value, f"{key}[{i}]")
    elif isinstance(node, float) and not math.isfinite(node):
        raise ModelError(f"`{key}` is {node}; a finite number is needed")
    elif not isinstance(node, str | bytes | int | float | bool | None):
        raise ModelError(f"`{key}` is a {type(node).__name__}; write it as text or a number")


def drop_files(node: Node) -> list[str]:
    """Remove every file that a mapping of a model would be read from, and keep initialisers.

    A starting point names its file again, where it is read as weights only.

    Args:
        node: changed in place.

    Returns:
        The keys that were removed.
    """
    dropped = [key for key in FILE_KEYS if node.pop(key, None) is not None]
    init = node.get("init_cfg")
    if init is None:
        return dropped
    given = init if isinstance(init, list | tuple) else [init]
    kept = [one for one in given if _is_initializer(one)]
    if len(kept) < len(given):
        if kept:
            node["init_cfg"] = kept
        else:
            del node["init_cfg"]
        dropped.append("init_cfg")
    return dropped


def _is_initializer(init: object) -> bool:
    """Whether an `init_cfg` draws numbers, rather than reading a file or naming other code."""
    return isinstance(init, dict) and all(
        inner.get("type", "Constant") in INITIALIZERS and not set(FILE_KEYS) & inner.keys()
        for inner in walk(init)
    )


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


def as_pair(size: int | Sequence[int]) -> Shape:
    """A size that may be given as one number."""
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
