"""Predicted class ids as an evaluation stored them; one image is decoded at a time."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt


class StoredPredictions:
    """The predictions of a run, by name of the frame.

    Args:
        path: `predictions.npz` of the run.
    """

    def __init__(self, path: Path) -> None:
        self._stored = np.load(path)
        self.names: list[str] = self._stored["names"].tolist()
        self._keys = {name: str(i) for i, name in enumerate(self.names)}

    def __getitem__(self, name: str) -> npt.NDArray[np.uint8]:
        """Class ids of an image, [height, width]."""
        png = self._stored[self._keys[name]]
        return np.asarray(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), np.uint8)
