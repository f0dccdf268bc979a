"""Count the pixels of an image, in areas and along edges. Imports neither torch nor mmseg."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from segbench.datasets.class_list import IGNORE_INDEX
from segbench.scores import metrics

ClassIds = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ImageCounts:
    """What is counted of an image.

    Attributes:
        confusion: matrix of all its pixels, [classes, predictions].
        boundary: pixels on the edges of each class that are right, that are so in the truth, and
            that are so in the prediction, [classes, 3].
    """

    confusion: metrics.Counts
    boundary: metrics.Counts


@dataclass(frozen=True, slots=True)
class Scale:
    """What the pixels are counted of.

    Attributes:
        classes: number of classes.
        more_predictions: how many ids beyond the classes a prediction may have; all are wrong.
        size: height and width to which both maps are brought; None is the label's own.
    """

    classes: int
    more_predictions: int = 0
    size: tuple[int, int] | None = None

    def count(self, truth: ClassIds, predicted: ClassIds) -> ImageCounts:
        """Count an image; both maps are [height, width].

        Raises:
            ValueError: the shapes differ, or a value is neither a class nor ignored.
        """
        truth, predicted = self._at_size(truth), self._at_size(predicted)
        boundary = boundary_counts(truth, predicted, self.classes)
        return ImageCounts(self._confusion(truth, predicted), boundary)

    def confusion(self, truth: ClassIds, predicted: ClassIds) -> metrics.Counts:
        """The confusion matrix of an image alone; as for `count`."""
        return self._confusion(self._at_size(truth), self._at_size(predicted))

    def _confusion(self, truth: ClassIds, predicted: ClassIds) -> metrics.Counts:
        more = self.more_predictions
        return metrics.confusion_matrix(truth, predicted, self.classes, more_predictions=more)

    def _at_size(self, ids: ClassIds) -> ClassIds:
        return nearest(ids, self.size) if self.size else ids


def nearest(ids: ClassIds, size: tuple[int, int]) -> ClassIds:
    """A map of class ids at another size, by the nearest neighbour of each pixel's centre.

    Args:
        ids: [height, width].
        size: height and width that are wanted.
    """
    rows, columns = (
        (2 * np.arange(wanted) + 1) * there // (2 * wanted)
        for wanted, there in zip(size, ids.shape, strict=True)
    )
    return np.asarray(ids[rows[:, None], columns])


def boundary_counts(truth: ClassIds, predicted: ClassIds, classes: int) -> metrics.Counts:
    """What the boundary IoU of each class derives from (Cheng et al. 2021, arXiv 2103.16562).

    A pixel is on the edge of its class if another class, or the end of the image, is less than 2 %
    of the image's diagonal away, in rows and columns alike. What the truth ignores is ignored in
    the prediction, too.

    Args:
        truth: class ids [height, width]; 255 where nothing is scored.
        predicted: class ids of the same shape.
        classes: number of classes.

    Returns:
        int64 [classes, 3]: pixels on the edge of the class in both, in the truth, and in the
        prediction.
    """
    width = max(1, round(metrics.EDGE * float(np.hypot(*truth.shape))))
    seen = truth != IGNORE_INDEX
    masked = np.where(seen, predicted, np.uint8(IGNORE_INDEX))
    on_edge, predicted_edge = _edges(truth, width), _edges(masked, width)
    both = on_edge & predicted_edge & (truth == masked)
    found = (
        np.bincount(ids[rows & seen], minlength=256)[:classes]
        for ids, rows in ((truth, both), (truth, on_edge), (masked, predicted_edge))
    )
    return np.stack([*found], axis=1).astype(np.int64)


def _edges(ids: ClassIds, width: int) -> npt.NDArray[np.bool_]:
    """Which pixels have another value within so many rows and columns, or the end of the image."""
    square = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    edge = np.asarray((cv2.erode(ids, square) != ids) | (cv2.dilate(ids, square) != ids))
    edge[:width], edge[-width:], edge[:, :width], edge[:, -width:] = True, True, True, True
    return edge
