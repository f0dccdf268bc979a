"""Refuse heads and losses that build, or nearly build, and cannot learn what they should.

Looks at the `model` section of a config that is merged, as plain mappings. Knows no model.
"""

from collections.abc import Iterator
from typing import Any

from segbench.datasets.class_list import IGNORE_INDEX
from segbench.errors import ModelError

NEEDED = ("decode_head", "loss_decode")  # parts that must be one mapping, or several in a list


def refuse_odd_heads(model: Any) -> None:
    """Make sure that the heads and losses of a model are there, and that void means void.

    Args:
        model: the `model` section of a config.

    Raises:
        ModelError: names the key and says what it must be.
    """
    for place, key, value in _entries(model, "model"):
        if key in NEEDED and not _is_part(value):
            raise ModelError(
                f"`{place}.{key}`: is {_said(value)}; it must be a mapping with a `type`, or a "
                "list of such mappings. Leave the key out to keep that of the published config"
            )
        if key == "ignore_index" and value is not None and value != IGNORE_INDEX:
            raise ModelError(
                f"`{place}.{key}`: is {value!r}, but void is {IGNORE_INDEX} in every prepared "
                "dataset, and each other number is a class. Leave the key out; what is not to be "
                "learnt belongs into `ignore_values`, `ignore_labels` or `ignore_colors` of the "
                "classes"
            )


def _entries(node: Any, place: str) -> Iterator[tuple[str, str, Any]]:
    """Every key of every mapping of a config: where the mapping stands, key, and its value."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield place, str(key), value
            yield from _entries(value, f"{place}.{key}")
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _entries(value, f"{place}[{i}]")


def _is_part(value: Any) -> bool:
    parts = value if isinstance(value, list | tuple) else [value]
    return bool(parts) and all(isinstance(part, dict) and part.get("type") for part in parts)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping without a `type`"
    if isinstance(value, list | tuple):
        return "a list with something else in it" if value else "an empty list"
    return repr(value)
