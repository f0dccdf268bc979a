"""A map of class ids as runs of equal neighbours, which are few: counted and hashed in a moment."""

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Runs(NamedTuple):
    """The pixels of a map, row after row, as runs of one value.

    Attributes:
        ends: index of the last pixel of each run, int64 [runs].
        values: of its pixels, uint8 [runs]. Neighbours differ.
    """

    ends: npt.NDArray[np.int64]
    values: npt.NDArray[np.uint8]

    def counts(self) -> npt.NDArray[np.int64]:
        """How often each value from 0 to 255 occurs, int64 [256]."""
        lengths = np.diff(self.ends, prepend=-1)
        # sums of whole numbers, which float64 holds exactly up to 2^53
        return np.bincount(self.values, lengths, 256).astype(np.int64)

    def sha256(self, width: int) -> str:
        """Digest that two maps have in common if, and only if, they are equal.

        Args:
            width: of the map, in pixels; its height follows.
        """
        digest = hashlib.sha256(width.to_bytes(8, "little"))
        digest.update(self.ends.astype("<i8", copy=False).data)
        digest.update(self.values.data)
        return digest.hexdigest()


def runs_of(ids: npt.NDArray[np.uint8]) -> Runs:
    """The runs of a map.

    Args:
        ids: uint8 [height, width], neither of them 0.
    """
    flat = ids.ravel()
    ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]), flat.size - 1)
    return Runs(ends, flat[ends])
