"""Models at coarser levels of classes, such as IDD's, by merging what was counted.

Needs NumPy and pandas, never torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from segbench.report.results import Candidate, draws_of
from segbench.report.tables import percent
from segbench.scores import metrics
from segbench.scores.bootstrap import Interval

COLUMNS = ["model", "initialization", "level", "class", "iou", "ci_low", "ci_high"]
MEAN = "mean IoU"
MOST_SAID = 3  # candidates in a sentence

# a name, and each coarser class with the ids of the classes that belong to it
Level = tuple[str, Sequence[tuple[str, Sequence[int]]]]


@dataclass(frozen=True, slots=True)
class LevelScore:
    """A candidate at a level.

    Attributes:
        candidate, level: which.
        classes: IoU of each coarser class, mean over the runs.
        miou: mean of the runs' mean IoU.
        interval: of that, over what the comparison's intervals are over.
    """

    candidate: Candidate
    level: Level
    classes: metrics.Scores
    miou: float
    interval: Interval


def scores_at(candidates: Sequence[Candidate], levels: Sequence[Level]) -> list[LevelScore]:
    """Score every candidate at every level."""
    return [_score(candidate, level) for level in levels for candidate in candidates]


def _score(candidate: Candidate, level: Level) -> LevelScore:
    groups = [ids for _, ids in level[1]]
    merged = [metrics.merged(run.confusion, groups) for run in candidate.runs]
    whole = [counts.sum(0) for counts in merged]
    draws = draws_of(candidate.runs, merged)
    return LevelScore(
        candidate,
        level,
        np.mean([metrics.class_iou(counts) for counts in whole], axis=0),
        float(np.mean([metrics.mean_iou(counts) for counts in whole])),
        Interval.of(draws.over_all).of_a_score(),
    )


def levels_table(scores: Sequence[LevelScore]) -> pd.DataFrame:
    """`levels.csv`: a row per candidate, level and class, and one for the mean, with interval."""
    rows = list[list[object]]()
    for one in scores:
        names = [one.candidate.model, one.candidate.initialization, one.level[0]]
        rows.append([*names, MEAN, one.miou, one.interval.low, one.interval.high])
        rows += [
            [*names, name, iou, np.nan, np.nan]
            for (name, _), iou in zip(one.level[1], one.classes, strict=True)
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def remarks_on(scores: Sequence[LevelScore]) -> list[str]:
    """The mean IoU at each level, best first, in a sentence each; a label is in bold first."""
    said = []
    for name in dict.fromkeys(one.level[0] for one in scores):
        best, *others = sorted(
            (one for one in scores if one.level[0] == name), key=lambda one: -one.miou
        )
        more = "".join(
            f"; {one.candidate.label} {percent(one.miou)} %" for one in others[: MOST_SAID - 1]
        )
        said.append(
            f"**{best.candidate.label}** reaches {percent(best.miou)} % mean IoU at {name}, with "
            f"{len(best.level[1])} classes (95 % interval {percent(best.interval.low)} to "
            f"{percent(best.interval.high)} %){more}."
        )
    return said
