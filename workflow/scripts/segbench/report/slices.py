"""How models fare on parts of the images: on each drive, in the dark, on images of one size.

A part shows other things than the rest, so parts are compared within a model with care, and models
within a part freely. Needs NumPy, pandas and matplotlib, never torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from segbench.report.parts import FEWEST_IMAGES, Part
from segbench.report.results import Candidate
from segbench.report.tables import percent
from segbench.scores import claims
from segbench.scores.bootstrap import Interval, PartDraws, bootstrap_of_part

MOST_NAMED = 2  # weak spots in the report
COLUMNS = ["model", "initialization", "by", "part", "images", "miou", "ci_low", "ci_high",
           "difference", "p_value", "p_holm"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class PartScore:
    """A candidate on a part.

    Attributes:
        candidate, part: which.
        draws: its scores.
        p_value: of the difference from the other images.
        p_holm: that, corrected for the number of parts.
    """

    candidate: Candidate
    part: Part
    draws: PartDraws
    p_value: float
    p_holm: float

    @property
    def is_weak(self) -> bool:
        """Whether it is worse than on its other images beyond chance."""
        return self.draws.difference < 0 and self.p_holm < claims.SIGNIFICANCE

    @property
    def text(self) -> str:
        """What stands in a figure."""
        return f"{100 * self.draws.score:.0f}{'*' * self.is_weak}"

    @property
    def row(self) -> list[object]:
        """Its row of the table."""
        interval = Interval.of(self.draws.inside).of_a_score()
        return [self.candidate.model, self.candidate.initialization, self.part.by, self.part.name,
                int(self.part.rows.sum()), self.draws.score, interval.low, interval.high,
                self.draws.difference, self.p_value, self.p_holm]  # fmt: skip


def scores_of_parts(candidates: Sequence[Candidate], parts: Sequence[Part]) -> list[PartScore]:
    """Score every candidate on every part; nothing with folds, whose images differ.

    Args:
        candidates: best first.
        parts: of the images.
    """
    found = list[PartScore]()
    for candidate in candidates:
        if any(run.scores_its_fold for run in candidate.runs):
            continue
        runs, groups = [run.confusion for run in candidate.runs], candidate.runs[0].groups
        draws = [bootstrap_of_part(runs, part.rows, groups) for part in parts]
        p_values = [claims.p_value(one.differences) for one in draws]
        corrected = claims.holm(p_values)
        found += [
            PartScore(candidate, *one)
            for one in zip(parts, draws, p_values, corrected, strict=True)
        ]
    return found


def slices_table(scores: Sequence[PartScore]) -> pd.DataFrame:
    """`slices.csv`: a row per candidate and part.

    `difference` is the mean IoU of the part less that of all other images, over the classes that
    both show; `p_holm` is corrected for the number of parts of the candidate.
    """
    return pd.DataFrame([one.row for one in scores], columns=COLUMNS)


def weak_spots(scores: Sequence[PartScore], best: Candidate) -> list[str]:
    """Where the best candidate is worse than on its other images beyond chance, in words."""
    weak = [one for one in scores if one.candidate is best and one.is_weak]
    weak.sort(key=lambda one: one.draws.difference)
    return [
        f"{one.part.by} {one.part.name} ({percent(one.draws.score)} %, "
        f"{percent(-one.draws.difference)} points below its other images)"
        for one in weak[:MOST_NAMED]
    ]


def plot_slices(scores: Sequence[PartScore], candidates: Sequence[Candidate], title: str) -> Figure:
    """Mean IoU of each candidate on each part, as a heat map; * marks weak spots beyond chance."""
    sns.set_theme(style="white", context="notebook")
    if not scores:
        figure, axes = plt.subplots(figsize=(8, 1.2))
        axes.set_axis_off()
        axes.text(0, 0.5, f"{title}: no parts of {FEWEST_IMAGES} images or more", va="center")
        return figure
    parts = [one.part for one in scores if one.candidate is scores[0].candidate]
    grid = [scores[i : i + len(parts)] for i in range(0, len(scores), len(parts))]
    figure, axes = plt.subplots(
        figsize=(3.0 + 1.0 * len(parts), 2.2 + 0.5 * len(grid)), layout="constrained"
    )
    sns.heatmap(
        np.array([[100 * one.draws.score for one in row] for row in grid]), ax=axes,
        annot=np.array([[one.text for one in row] for row in grid]), fmt="", cmap="viridis",
        vmin=0, vmax=100, linewidths=1.5, xticklabels=[part.label for part in parts],
        yticklabels=[c.label for c in candidates], cbar_kws={"label": "mean IoU, %", "shrink": 0.9},
    )  # fmt: skip
    axes.set_xticklabels(axes.get_xticklabels(), rotation=35, ha="right", fontsize=9)
    axes.set_yticklabels(axes.get_yticklabels(), rotation=0)
    for number, (before, part) in enumerate(pairwise(parts), start=1):
        if part.by != before.by:
            axes.axvline(number, color="#1f2933", lw=2)
    axes.set_title(title, loc="left")
    return figure
