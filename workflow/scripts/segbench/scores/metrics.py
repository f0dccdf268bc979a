"""Scores from confusion matrices: the only place where an IoU or accuracy is computed.

A confusion matrix counts pixels, int64 [classes, predictions]: rows are the truth, columns the
prediction, pixels that are void in the truth are not counted. There may be more columns than
rows; a prediction beyond the classes is wrong, whatever it is. Needs NumPy alone.
"""

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
EDGE = 0.02  # width of the edge, as a share of the image's diagonal (Cheng et al. 2021)


class Summary(TypedDict):
    """The usual scores of a model, as plain fractions, and how many classes they are over."""

    miou: float
    aacc: float
    macc: float
    classes_present: int


def confusion_matrix(
    truth: npt.NDArray[np.uint8],
    prediction: npt.NDArray[np.uint8],
    classes: int,
    ignore_index: int = 255,
    more_predictions: int = 0,
) -> Counts:
    """Count pixels by true and predicted class, exactly.

    Args:
        truth: class ids [height, width]; `ignore_index` where nothing is scored.
        prediction: class ids of the same shape.
        classes: number of classes.
        ignore_index: value in `truth` that is left out.
        more_predictions: how many ids beyond the classes a prediction may have; all are wrong.

    Returns:
        int64 [classes, classes + more_predictions].

    Raises:
        ValueError: the shapes differ, or a value is neither a class nor ignored.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth {truth.shape} and prediction {prediction.shape} differ in shape")
    # one 16-bit number per pixel, so that a single count does: 26 * 26 overflows 8 bits
    pairs = np.left_shift(truth, 8, dtype=np.uint16)
    np.bitwise_or(pairs, prediction, out=pairs)
    table = np.bincount(pairs.ravel(), minlength=65536).reshape(256, 256).astype(np.int64)
    table[ignore_index] = 0
    counts = table[:classes, : classes + more_predictions]
    if counts.sum() != table.sum():
        raise ValueError(f"a value is neither one of the {classes} classes nor {ignore_index}")
    return counts.copy()


def merged(counts: Counts, groups: Sequence[Sequence[int]]) -> Counts:
    """The counts of coarser classes, each of which consists of some of the classes.

    A class that belongs to none of them is not scored where it is the truth, and wrong where it is
    predicted.

    Args:
        counts: [..., classes, predictions].
        groups: ids of the classes that belong to each coarser class.

    Returns:
        int64 [..., coarser classes, coarser classes + 1].
    """
    own = np.zeros((counts.shape[-1], len(groups) + 1), np.int64)
    own[:, -1] = 1
    for place, ids in enumerate(groups):
        own[list(ids)] = np.eye(len(groups) + 1, dtype=np.int64)[place]
    truth = own[: counts.shape[-2], :-1]
    return np.asarray(truth.T @ counts @ own)


def class_iou(counts: Counts) -> Scores:
    """Intersection over union per class (Everingham et al. 2010, Pascal VOC).

    A class without a pixel in the truth is absent: NaN for every model alike, so that all means
    are over the same classes. (MMSegmentation gives 0 to an absent class that a model predicts
    somewhere and NaN otherwise, so its means can be over different classes.)

    Args:
        counts: [..., classes, predictions].

    Returns:
        Fractions [..., classes].
    """
    hits, truth, predicted = _marginals(counts)
    return _ratio(hits, truth + predicted - hits, present=truth > 0)


def class_accuracy(counts: Counts) -> Scores:
    """Share of each class's pixels that were found (recall), [..., classes]; NaN if absent."""
    hits, truth, _ = _marginals(counts)
    return _ratio(hits, truth, present=truth > 0)


def class_precision(counts: Counts) -> Scores:
    """Share of the pixels predicted as a class that are it, [..., classes]; NaN if none is."""
    hits, _, predicted = _marginals(counts)
    return _ratio(hits, predicted, present=predicted > 0)


def class_dice(counts: Counts) -> Scores:
    """Twice the hits over truth and prediction together (F1; Dice 1945), [..., classes].

    NaN for a class that is absent from the truth, as in `class_iou`.
    """
    hits, truth, predicted = _marginals(counts)
    return _ratio(2 * hits, truth + predicted, present=truth > 0)


def boundary_iou(counts: Counts) -> Scores:
    """IoU of the edges of each class (Cheng et al. 2021, arXiv 2103.16562).

    Args:
        counts: pixels on the edge of a class in both, in the truth, and in the prediction,
            [..., classes, 3].

    Returns:
        Fractions [..., classes]; NaN for a class that is absent from the truth.
    """
    both, truth, predicted = np.moveaxis(counts, -1, 0)
    return _ratio(both, truth + predicted - both, present=truth > 0)


def frequency_weighted_iou(counts: Counts) -> Scores:
    """IoU of the classes, weighted by their shares of the pixels (Long et al. 2015), [...]."""
    truth = counts.sum(-1)
    weighted = np.where(truth > 0, np.nan_to_num(class_iou(counts)) * truth, 0.0).sum(-1)
    total = truth.sum(-1)
    return _ratio(weighted, total, present=total > 0)


def image_wise_iou(counts: Counts) -> Scores:
    """Mean IoU of each image by itself, over the classes that its truth shows.

    Large objects count no more than small ones of other images, and an image that fails is not
    hidden by many that do not (Wang et al. 2023, arXiv 2310.19252).

    Args:
        counts: of each image, [images, classes, predictions].

    Returns:
        Fractions [images], without the images whose truth is void.
    """
    scores = mean_iou(counts)
    return scores[~np.isnan(scores)]


def mean_of_worst(scores: Scores, share: float = 0.1) -> float:
    """Mean of the lowest scores.

    Args:
        scores: [images], none of them NaN.
        share: which part of them, rounded up to whole images.
    """
    if not len(scores):
        return float("nan")
    return float(np.sort(scores)[: int(np.ceil(share * len(scores)))].mean())


def pixel_accuracy(counts: Counts) -> Scores:
    """Share of all pixels that are right (aAcc), [...]."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1).sum(-1)
    total = counts.sum((-2, -1))
    return _ratio(hits, total, present=total > 0)


def mean_over_classes(scores: Scores) -> Scores:
    """Mean over the classes that are present, [...]; NaN if none is."""
    present = ~np.isnan(scores)
    number = present.sum(-1)
    return _ratio(np.where(present, scores, 0.0).sum(-1), number, present=number > 0)


def mean_iou(counts: Counts) -> Scores:
    """Mean IoU over the classes present in the truth, [...]."""
    return mean_over_classes(class_iou(counts))


def summary(counts: Counts) -> Summary:
    """The usual scores of summed counts [classes, predictions], as plain fractions."""
    return {
        "miou": float(mean_iou(counts)),
        "aacc": float(pixel_accuracy(counts)),
        "macc": float(mean_over_classes(class_accuracy(counts))),
        "classes_present": int((counts.sum(-1) > 0).sum()),
    }


def _marginals(counts: Counts) -> tuple[Counts, Counts, Counts]:
    classes = counts.shape[-2]
    hits = np.diagonal(counts[..., :classes], axis1=-2, axis2=-1)
    return hits, counts.sum(-1), counts.sum(-2)[..., :classes]


def _ratio(part: Counts | Scores, whole: Counts, present: npt.NDArray[np.bool_]) -> Scores:
    out = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=out, where=present)
    return out
