"""How much of its mean IoU a model retains when the images are made worse.

Needs NumPy, pandas and matplotlib, never torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segbench.report.figures import palette
from segbench.report.results import Candidate, Condition, draws_of
from segbench.report.tables import percent
from segbench.scores import metrics
from segbench.scores.bootstrap import Draws, Interval

COLUMNS = ["model", "initialization", "condition", "level", "miou", "ci_low", "ci_high",
           "retained", "retained_low", "retained_high"]  # fmt: skip
ALL = "all"
MOST_SAID = 3  # other candidates in the sentence on what is retained
AXES = {
    "resolution": "part of the resolution",
    "jpeg": "JPEG quality",
    "blur": "blur, standard deviation in pixels",
}


@dataclass(frozen=True, slots=True)
class ConditionScore:
    """A candidate under a condition.

    Attributes:
        candidate, condition: which.
        miou: mean of its runs' mean IoU.
        draws: of that, on the same draws as the score on the images as they are.
    """

    candidate: Candidate
    condition: Condition
    miou: float
    draws: Draws

    @property
    def interval(self) -> Interval:
        """Of the mean IoU."""
        return Interval.of(self.draws.over_all).of_a_score()

    @property
    def retained(self) -> tuple[float, Interval]:
        """The mean IoU over that on the images as they are, with its interval."""
        return _retained([self])


def _retained(scores: Sequence[ConditionScore]) -> tuple[float, Interval]:
    """Mean over conditions of the share of the mean IoU that is retained, with its interval."""
    candidate = scores[0].candidate
    drawn = np.mean([one.draws.over_all for one in scores], axis=0) / candidate.draws.over_all
    whole = candidate.miou or np.nan
    return float(np.mean([one.miou for one in scores]) / whole), Interval.of(drawn)


def scores_under(candidates: Sequence[Candidate]) -> list[ConditionScore]:
    """Score every candidate under every condition that its runs were scored under."""
    return [
        ConditionScore(
            candidate,
            condition,
            float(np.mean([metrics.mean_iou(run.worse[condition].sum(0)) for run in runs])),
            draws_of(runs, [run.worse[condition] for run in runs]),
        )
        for candidate in candidates
        for runs in [candidate.runs]
        for condition in runs[0].worse
    ]


def conditions_table(scores: Sequence[ConditionScore]) -> pd.DataFrame:
    """`conditions.csv`: a row per candidate and condition, and one over all of them."""
    rows = list[list[object]]()
    for candidate, found in _by_candidate(scores):
        names = [candidate.model, candidate.initialization]
        for one in found:
            kept, sure = one.retained
            rows.append([*names, *one.condition, one.miou, one.interval.low, one.interval.high,
                         kept, sure.low, sure.high])  # fmt: skip
        kept, sure = _retained(found)
        rows.append([*names, ALL, np.nan, np.mean([one.miou for one in found]), np.nan, np.nan,
                     kept, sure.low, sure.high])  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def remarks_on(scores: Sequence[ConditionScore]) -> list[str]:
    """How much is retained, and where another model wins, in sentences; a label is in bold first.

    Args:
        scores: of candidates, the best first.
    """
    if not scores:
        return []
    (best, own), *others = _by_candidate(scores)
    share, sure = _retained(own)
    more = "; ".join(
        f"{one.label} {percent(_retained(its)[0])} %" for one, its in others[:MOST_SAID]
    )
    said = [
        f"**{best.label}** retains {percent(share)} % of its mean IoU under the "
        f"{_counted(len(own))} (95 % interval {percent(sure.low)} to {percent(sure.high)} %)"
        f"{'; ' if more else ''}{more}."
    ]
    return said + _other_winners(scores, best)


def _other_winners(scores: Sequence[ConditionScore], best: Candidate) -> list[str]:
    """Under which conditions another model is ahead of the best one."""
    said = []
    for condition in dict.fromkeys(one.condition for one in scores):
        under = [one for one in scores if one.condition == condition]
        first = max(under, key=lambda one: one.miou)
        own = next(one for one in under if one.candidate is best)
        if first is own:
            continue
        gap = Interval.of(first.draws.over_all - own.draws.over_all)
        sure = "" if gap.low > 0 else ", which is too close to call"
        said.append(
            f"**{first.candidate.label}** is ahead of {best.label} at {in_words(condition)}: by "
            f"{percent(first.miou - own.miou)} points (paired 95 % interval {percent(gap.low)} to "
            f"{percent(gap.high)} points){sure}."
        )
    return said


def in_words(condition: Condition) -> str:
    """What a condition is called in a sentence."""
    kind, level = condition
    if kind == "resolution":
        return f"1/{level:g} of the resolution"
    return f"JPEG quality {level:g}" if kind == "jpeg" else f"a blur of {level:g} pixels"


def plot_conditions(
    scores: Sequence[ConditionScore], candidates: Sequence[Candidate], title: str
) -> Figure:
    """Mean IoU against the severity of each kind of condition, with intervals as bands."""
    sns.set_theme(style="whitegrid", context="notebook")
    kinds = list(dict.fromkeys(one.condition[0] for one in scores))
    figure, all_axes = plt.subplots(
        1, len(kinds), figsize=(2.6 + 3.9 * len(kinds), 4.4), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    colors = palette(candidates)
    for axes, kind in zip(all_axes[0], kinds, strict=True):
        for candidate, own in _by_candidate([one for one in scores if one.condition[0] == kind]):
            _draw(axes, candidate, own, colors[candidate.label])
        levels = [level for found, level in _conditions(scores) if found == kind]
        sign = "1/" if kind == "resolution" else ""
        axes.set_xticks(
            range(len(levels) + 1), ["as it is", *(f"{sign}{level:g}" for level in levels)]
        )
        axes.set(xlabel=AXES[kind], ylim=(0, None))
    all_axes[0][0].set_ylabel("mean IoU, %")
    all_axes[0][-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    figure.suptitle(title, x=0.01, ha="left")
    sns.despine(figure)
    return figure


def _draw(
    axes: Axes,
    candidate: Candidate,
    scores: Sequence[ConditionScore],
    color: tuple[float, float, float],
) -> None:
    points = [candidate.miou, *(one.miou for one in scores)]
    intervals = [candidate.interval, *(one.interval for one in scores)]
    steps = range(len(points))
    axes.plot(steps, [100 * point for point in points], color=color, marker="o", ms=5, lw=1.8,
              label=candidate.label)  # fmt: skip
    low, high = (
        [100 * bound for bound in bounds]
        for bounds in zip(*((one.low, one.high) for one in intervals), strict=True)
    )
    axes.fill_between(steps, low, high, color=color, alpha=0.13, lw=0)


def _conditions(scores: Sequence[ConditionScore]) -> list[Condition]:
    return list(dict.fromkeys(one.condition for one in scores))


def _by_candidate(
    scores: Sequence[ConditionScore],
) -> list[tuple[Candidate, list[ConditionScore]]]:
    grouped = groupby(scores, key=lambda one: id(one.candidate))
    return [(found[0].candidate, found) for _, own in grouped for found in [list(own)]]


def _counted(count: int) -> str:
    return "one worse condition" if count == 1 else f"{count} worse conditions"
