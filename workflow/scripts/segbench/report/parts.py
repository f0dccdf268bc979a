"""The parts into which images fall: by brightness, size, drive, or a table of the user's.

Needs NumPy and pandas. Knows nothing of runs, so that a card of a dataset can show them, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

FEWEST_IMAGES = 5  # of a part; a bootstrap over fewer says little
MOST_DRIVES = 20  # beyond which a table of drives is no longer read
THIRDS = ("dark third", "middle third", "bright third")


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the images.

    Attributes:
        by: what they have in common: `drive`, `brightness`, `size`, or a column of the user's.
        name: which of its values.
        rows: whether each image belongs to it, [images].
    """

    by: str
    name: str
    rows: npt.NDArray[np.bool_]

    @property
    def label(self) -> str:
        """How it is called in a figure."""
        return f"{self.name}\n({self.rows.sum()})"


def parts_of(
    frames: pd.DataFrame, names: Sequence[str], own_parts: pd.DataFrame | None = None
) -> list[Part]:
    """The parts into which the images of a dataset fall by themselves, and those of the user.

    Args:
        frames: `frames.csv` of the prepared dataset.
        names: of the images that were scored, in their order.
        own_parts: a column for each way in which the user divides them, by name of the frame.
    """
    own = frames.set_index("name").loc[list(names)]
    found = [*_thirds(own["brightness"].to_numpy(float))]
    sizes = own["width"].astype(str) + "x" + own["height"].astype(str)
    found += _values("size", sizes.tolist())
    if own["group"].nunique() <= MOST_DRIVES:
        found += _values("drive", own["group"].tolist())
    if own_parts is not None:
        for by, values in own_parts.loc[list(names)].items():
            found += _values(str(by), values.tolist())
    return [part for part in found if FEWEST_IMAGES <= part.rows.sum() < len(own)]


def _thirds(brightness: npt.NDArray[np.float64]) -> Iterator[Part]:
    """The images in three parts of equal number by their brightness."""
    thirds = np.array_split(np.argsort(brightness, kind="stable"), len(THIRDS))
    for name, members in zip(THIRDS, thirds, strict=True):
        rows = np.zeros(len(brightness), bool)
        rows[members] = True
        yield Part("brightness", name, rows)


def _values(by: str, values: Sequence[str]) -> list[Part]:
    """A part for each value; none where all images have the same."""
    found = sorted({value for value in values if value})
    return [Part(by, name, np.array([value == name for value in values])) for name in found]
