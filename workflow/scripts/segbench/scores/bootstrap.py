"""How sure a score is: bootstrap intervals over images and trainings together. NumPy alone.

Two kinds of chance stand between a score and the truth about a model: which images it was scored
on, and which seeds it was trained with. Leaving out either makes an interval too narrow (Sellam et
al., The MultiBERTs, 2022, section 4). `docs/statistics.md` says what each number means and how
often the intervals hold the truth.
"""

import functools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segbench.scores.metrics import Counts, Scores, class_iou, mean_iou, mean_over_classes

RESAMPLES = 2000
PART_RESAMPLES = 1000
LEVEL = 0.95
CHUNK = 250
# drives, below which drawing them says less than drawing their images
FEWEST_GROUPS = 10


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

    def of_a_score(self) -> "Interval":
        """This interval within the values that a score can have, 0 to 1."""
        return Interval(max(0.0, self.low), min(1.0, self.high))


@dataclass(frozen=True, slots=True)
class Draws:
    """Scores of a model on resampled images, [resamples].

    Attributes:
        over_images: of these very trainings.
        over_all: with the chance of training as well; the same where there is one seed.
    """

    over_images: Scores
    over_all: Scores


def bootstrap_mean_iou(
    runs: Sequence[tuple[int, Counts]],
    resamples: int = RESAMPLES,
    seed: int = 0,
    name: str = "",
    groups: Mapping[int, Sequence[str]] | None = None,
) -> Draws:
    """Mean IoU of a model on resampled images, and with other trainings of it.

    Images are drawn with replacement (Efron 1979), and the same draws are used for every run and
    every model that is scored on the same fold, so that scores can be compared draw by draw. The
    trainings of different models have nothing in common, so their chance is drawn by `name`.

    Images of one drive are alike. Where there are drives enough, whole drives are drawn instead of
    single images (cluster bootstrap; Davison and Hinkley 1997, section 3.8).

    Drawing so few seeds with replacement, as the Multi-Bootstrap does, understates their spread: by
    a third at three seeds, and no draw lies beyond the best or the worst of them. So the mean over
    the seeds is moved by `t s / sqrt(n)` instead, with `s` their standard deviation on the drawn
    images and `t` drawn from Student's distribution with n - 1 degrees of freedom: where images
    play no part, that is the exact interval of a mean of normal values.

    Args:
        runs: the fold of each run, 0 without cross-validation, and its matrices per image, int64
            [images, classes, predictions]; the runs of a fold are its seeds, in the same order in
            every fold.
        resamples: number of draws.
        seed: decides the draws.
        name: of the model.
        groups: by fold the drive of each image; none are drawn where there are fewer than
            `FEWEST_GROUPS`.

    Returns:
        The mean IoU of each draw. With one seed it says nothing of training.
    """
    scores: dict[int, list[Scores]] = {}
    for fold, counts in runs:
        units = units_of(groups.get(fold, ()) if groups else (), len(counts))
        drawn = _mean_iou_of_draws(_draws(units, resamples, seed, fold), counts)
        whole = float(mean_iou(counts.sum(0)))
        # a sample of n images varies by n - 1 parts of n of what it was drawn from
        count = max(units) + 1
        widened = whole + (drawn - whole) * np.sqrt(count / max(1, count - 1))
        scores.setdefault(fold, []).append(widened)
    # over the folds, in which a seed is the same training setting: [seeds, resamples]
    by_seed = np.mean(list(scores.values()), axis=0)
    over_images = np.asarray(by_seed.mean(0))
    return Draws(over_images, over_images + _chance_of_training(by_seed, seed, name))


def _chance_of_training(by_seed: Scores, seed: int, name: str) -> Scores:
    """By how much the mean over some seeds may lie off that over all seeds, draw by draw."""
    seeds, resamples = by_seed.shape
    if seeds < 2:
        return np.zeros(resamples)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    spread = by_seed.std(0, ddof=1)
    return np.asarray(rng.standard_t(seeds - 1, resamples) * spread / np.sqrt(seeds))


def bootstrap_class_iou(
    runs: Sequence[tuple[int, Counts, Sequence[str]]],
    resamples: int = PART_RESAMPLES,
    seed: int = 0,
) -> Scores:
    """IoU of each class on resampled images, mean over the trainings, whose chance is left out.

    Args:
        runs: fold, matrices per image, and drive of each image of each run; see
            `bootstrap_mean_iou`.
        resamples: number of draws.
        seed: decides the draws.

    Returns:
        [resamples, classes]; NaN where a class was not drawn.
    """
    scores = [
        _class_iou_of_draws(_draws(units_of(groups, len(counts)), resamples, seed, fold), counts)
        for fold, counts, groups in runs
    ]
    return mean_over_classes(np.stack(scores, axis=-1))


@dataclass(frozen=True, slots=True)
class PartDraws:
    """Scores of a model on a part of the images, and how far they are from those of the rest.

    Attributes:
        score: mean IoU of the part.
        difference: that less the mean IoU of the rest, over the classes that both show.
        inside: the score on resampled images, [resamples].
        differences: the difference on resampled images, [resamples]; NaN draws are left out.
    """

    score: float
    difference: float
    inside: Scores
    differences: Scores


def bootstrap_of_part(
    runs: Sequence[Counts],
    rows: npt.NDArray[np.bool_],
    groups: Sequence[str] = (),
    resamples: int = PART_RESAMPLES,
    seed: int = 0,
) -> PartDraws:
    """Mean IoU of a model on a part of the images, and against the other images.

    Args:
        runs: matrices per image of each training, int64 [images, classes, predictions].
        rows: whether each image belongs to the part, [images].
        groups: the drive of each image; see `bootstrap_mean_iou`.
        resamples: number of draws.
        seed: decides the draws.

    Returns:
        Means over the trainings; their chance is left out.
    """
    draws = _draws(units_of(groups, len(rows)), resamples, seed, 0)
    truth = runs[0].sum(2)
    both = (truth[rows].sum(0) > 0) & (truth[~rows].sum(0) > 0)
    score, difference, inside, differences = [], [], [], []
    for counts in runs:
        parts = [
            (class_iou(counts[one].sum(0)), _class_iou_of_draws(draws[:, one], counts[one]))
            for one in (rows, ~rows)
        ]
        (whole, drawn), (whole_rest, drawn_rest) = parts
        score.append(mean_over_classes(whole))
        inside.append(mean_over_classes(drawn))
        difference.append((whole - whole_rest)[both].mean())
        differences.append(mean_over_classes((drawn - drawn_rest)[:, both]))
    gaps = np.mean(differences, axis=0)
    return PartDraws(
        float(np.mean(score)), float(np.mean(difference)), np.asarray(np.mean(inside, axis=0)),
        gaps[~np.isnan(gaps)],
    )  # fmt: skip


def are_drawn(groups: Sequence[str]) -> bool:
    """Whether whole drives are drawn: several images in each of enough of them."""
    return FEWEST_GROUPS <= len(set(groups)) < len(groups)


def units_of(groups: Sequence[str], images: int) -> tuple[int, ...]:
    """What each image is drawn with, as numbers from 0: its drive, or itself alone."""
    if not are_drawn(groups):
        return tuple(range(images))
    numbers = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    return tuple(numbers[group] for group in groups)


@functools.lru_cache(maxsize=32)
def _draws(units: tuple[int, ...], resamples: int, seed: int, fold: int) -> npt.NDArray[np.int64]:
    """How often each image of a fold is drawn, [resamples, images]."""
    rng = np.random.default_rng([seed, fold] if fold else seed)
    count = max(units) + 1
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.asarray(drawn[:, list(units)])


def _mean_iou_of_draws(draws: npt.NDArray[np.int64], counts: Counts) -> Scores:
    """Mean IoU of each draw, [resamples]."""
    return mean_over_classes(_class_iou_of_draws(draws, counts))


def _class_iou_of_draws(draws: npt.NDArray[np.int64], counts: Counts) -> Scores:
    """Sum the matrices of each draw, in chunks to keep memory flat: [resamples, classes]."""
    # exact in float64 below 2**53 pixels, and its matrix product is far faster than integers'
    flat = counts.reshape(len(counts), -1).astype(np.float64)
    scores = [
        class_iou(
            (chunk.astype(np.float64) @ flat)
            .reshape(len(chunk), *counts.shape[1:])
            .astype(np.int64)
        )
        for chunk in np.array_split(draws, max(1, len(draws) // CHUNK))
    ]
    return np.concatenate(scores)
