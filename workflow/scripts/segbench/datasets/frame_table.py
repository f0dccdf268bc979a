"""What `frames.csv` says of each prepared frame, for those that read it image by image.

Needs NumPy for what it is given, and no other package.
"""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

COLUMN = "classes"


def classes_seen(pixels: npt.NDArray[np.int64]) -> list[str]:
    """The ids of the classes that each frame shows, as text: `0 3 5`.

    Args:
        pixels: pixels by frame and class, without void, [frames, classes].
    """
    return [" ".join(map(str, np.flatnonzero(row))) for row in pixels]


def frames_of_classes(
    table: Path, split: str | None, names: Sequence[str], classes: int
) -> list[npt.NDArray[np.int64]]:
    """For each class the frames that show it.

    Args:
        table: `frames.csv` of the prepared dataset.
        split: `train` or `val`, because frames of both may share a name; None where none do.
        names: the frames of that split, in the order of their indices.
        classes: number of classes.

    Returns:
        Indices into `names`, ascending, one array per class.
    """
    rows = _rows(table, split)
    indices: list[list[int]] = [[] for _ in range(classes)]
    for index, name in enumerate(names):
        for class_id in rows[name][COLUMN].split():
            indices[int(class_id)].append(index)
    return [np.array(found, np.int64) for found in indices]


def frame_sizes(table: Path, split: str | None, names: Sequence[str]) -> list[tuple[int, int]]:
    """Height and width of frames; the arguments are those of `frames_of_classes`."""
    rows = _rows(table, split)
    return [(int(rows[name]["height"]), int(rows[name]["width"])) for name in names]


def _rows(table: Path, split: str | None) -> Mapping[str, Mapping[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return {row["name"]: row for row in csv.DictReader(file) if split in (None, row["split"])}
