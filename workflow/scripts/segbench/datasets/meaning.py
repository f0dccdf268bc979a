"""What of a description shapes the prepared data, and what is only shown of it.

Names and colours of classes are for people: another name or colour makes no other dataset. The
order of the classes and what belongs to each of them does.
"""

from typing import Any

from segbench.datasets.class_list import Class
from segbench.datasets.description import DatasetDescription

Shown = tuple[str, tuple[int, int, int]]  # name, and red, green and blue

ONLY_SHOWN = {"about", "coarser"}


def what_counts(description: DatasetDescription) -> dict[str, Any]:
    """All that shapes the prepared data, as plain values that can be compared."""
    content = description.model_dump(mode="json", exclude_defaults=True, exclude=ONLY_SHOWN)
    by_color = description.labels.format == "rgb"
    classes = description.classes.classes
    content["classes"]["classes"] = [_belonging(found, by_color) for found in classes]
    # a class in the description's words, so here by its place
    content["labels"]["background"] = description.background_id
    return content


def what_is_shown(description: DatasetDescription) -> list[Shown]:
    """Names and colours of the classes, in the order of their ids."""
    return [(found.name, found.color) for found in description.classes.classes]


def what_is_grouped(
    description: DatasetDescription,
) -> list[tuple[str, list[tuple[str, list[int]]]]]:
    """The coarser levels at which models are scored: each class with the ids that belong to it."""
    return [
        (level, [(name, list(ids)) for name, ids in groups])
        for level, groups in description.coarser.items()
    ]


def _belonging(found: Class, by_color: bool) -> dict[str, Any]:
    """What belongs to a class; its colour only where labels are read by it."""
    content = found.model_dump(mode="json", include={"labels", "values", "colors"})
    if by_color and not found.colors:
        content["colors"] = [list(found.color)]
    return content
