"""Which class a colour of an RGB label belongs to: by its exact colour, or by the nearest one.

Knows colours as numbers of 24 bits, red in the lowest byte; reads no file.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

UNCLAIMED = 254  # in the tables: neither a class nor void; class ids end at 253
AT_ONCE = 1 << 14  # colours whose distances are held in memory together

Codes = npt.NDArray[np.integer]
Ids = npt.NDArray[np.uint8]


class ColorTable:
    """Class ids by colour; 16 MB, made at the first use in each process, and as much for `nearest`.

    Args:
        id_of_color: class id of each known colour, red, green and blue.
        tolerance: how far in RGB (Euclidean distance) a colour may be from the known colour that
            it is taken for; 0 takes exact colours only.
    """

    def __init__(self, id_of_color: Mapping[tuple[int, int, int], int], tolerance: float) -> None:
        self._colors = np.array(list(id_of_color), np.int32)
        self._ids = np.array(list(id_of_color.values()), np.uint8)
        self._tolerance = tolerance
        self._exact: Ids = np.full(1 << 24, UNCLAIMED, np.uint8)
        self._exact[_packed(self._colors)] = self._ids
        # remembers colours that were met before: every image of a data set has much the same ones
        self._near = self._exact.copy() if tolerance else self._exact

    def ids_of(self, codes: Codes) -> tuple[Ids, int]:
        """The class ids of colours, and how many are not exactly a known colour but near one.

        Args:
            codes: colours, of any shape.

        Returns:
            Ids of that shape, `UNCLAIMED` where no known colour is near enough or where the
            nearest ones are equally far and belong to different classes; and the number.
        """
        ids = self._near[codes]
        if not self._tolerance:
            return ids, 0
        new = ids == UNCLAIMED
        if new.any():
            unknown = np.unique(codes[new])
            for start in range(0, len(unknown), AT_ONCE):
                some = unknown[start : start + AT_ONCE]
                self._near[some] = self._nearest(some)
            ids = self._near[codes]
        changed = (self._exact[codes] == UNCLAIMED) & (ids != UNCLAIMED)
        return ids, int(np.count_nonzero(changed))

    def _nearest(self, codes: Codes) -> Ids:
        """Ids of the nearest known colours within the tolerance, for codes of shape [n]."""
        channels = np.stack([codes >> shift & 255 for shift in (0, 8, 16)], -1).astype(np.int32)
        squares = np.zeros((len(codes), len(self._colors)), np.int32)
        for channel in range(3):
            squares += (channels[:, channel, None] - self._colors[:, channel]) ** 2
        first = squares.argmin(1)
        least = squares[np.arange(len(codes)), first]
        ids: Ids = self._ids[first]
        tied = ((squares == least[:, None]) & (self._ids != ids[:, None])).any(1)
        ids[tied | (least > self._tolerance**2)] = UNCLAIMED
        return ids


def _packed(colors: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    packed: npt.NDArray[np.int32] = colors[:, 0] | colors[:, 1] << 8 | colors[:, 2] << 16
    return packed
