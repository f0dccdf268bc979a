"""How sure a score is: bootstrap intervals over the validation images. Needs NumPy alone."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segbench.scores.metrics import Counts, Scores, mean_iou

RESAMPLES = 2000
LEVEL = 0.95
CHUNK = 250


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, in fractions."""

    low: float
    high: float

    @classmethod
    def of(cls, scores: Scores, level: float = LEVEL) -> "Interval":
        """Percentile interval of bootstrap scores; NaN draws are left out."""
        tail = (1 - level) / 2
        low, high = np.nanquantile(scores, [tail, 1 - tail])
        return cls(float(low), float(high))


def bootstrap_mean_iou(
    runs: Sequence[tuple[int, Counts]], resamples: int = RESAMPLES, seed: int = 0
) -> Scores:
    """Mean IoU of a model on resampled validation sets (percentile bootstrap, Efron 1979).

    Images are drawn with replacement, and the same draws are used for every run and every model
    that is scored on the same fold, so that scores can be compared draw by draw. The score of a
    draw is the mean over the runs of the mean IoU of the summed matrices.

    Args:
        runs: the fold of each run, 0 without cross-validation, and its matrices per image, int64
            [images, classes, predictions].
        resamples: number of draws.
        seed: decides the draws.

    Returns:
        Mean IoU of each draw, [resamples].
    """
    scores = [
        _mean_iou_of_draws(_draws(len(counts), resamples, seed, fold), counts)
        for fold, counts in runs
    ]
    return np.asarray(np.mean(scores, axis=0))


@functools.lru_cache(maxsize=32)
def _draws(images: int, resamples: int, seed: int, fold: int) -> npt.NDArray[np.int64]:
    """How often each image of a fold is drawn, [resamples, images]."""
    rng = np.random.default_rng([seed, fold] if fold else seed)
    return rng.multinomial(images, np.full(images, 1 / images), size=resamples)


def _mean_iou_of_draws(draws: npt.NDArray[np.int64], counts: Counts) -> Scores:
    """Sum the matrices of each draw, in chunks to keep memory flat: [resamples]."""
    # exact in float64 below 2**53 pixels, and its matrix product is far faster than integers'
    flat = counts.reshape(len(counts), -1).astype(np.float64)
    scores = [
        mean_iou(
            (chunk.astype(np.float64) @ flat)
            .reshape(len(chunk), *counts.shape[1:])
            .astype(np.int64)
        )
        for chunk in np.array_split(draws, max(1, len(draws) // CHUNK))
    ]
    return np.concatenate(scores)
