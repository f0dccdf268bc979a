"""How models fare on parts of the images: on each drive, in the dark, on images of one size.

A part shows other things than the rest, so parts are compared within a model with care, and models
within a part freely. Needs NumPy, pandas and matplotlib, never torch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from segbench.report.results import Candidate
from segbench.report.tables import percent
from segbench.scores import claims
from segbench.scores.bootstrap import Interval, PartDraws, bootstrap_of_part

FEWEST_IMAGES = 5  # of a part; a bootstrap over fewer says little
MOST_DRIVES = 20  # beyond which a table of drives is no longer read
MOST_NAMED = 2  # weak spots in the report
THIRDS = ("dark third", "middle third", "bright third")
COLUMNS = ["model", "initialization", "by", "part", "images", "miou", "ci_low", "ci_high",
           "difference", "p_value", "p_holm"]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the images.

    Attributes:
        by: what they have in common: `drive`, `brightness`, `size`, or a column of the user's.
        name: which of its values.
        rows: whether each image belongs to it, [images].
    """

    by: str
    name: str
    rows: npt.NDArray[np.bool_]

    @property
    def label(self) -> str:
        """How it is called in a figure."""
        return f"{self.name}\n({self.rows.sum()})"


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


def parts_of(
    frames: pd.DataFrame, names: Sequence[str], own_parts: pd.DataFrame | None = None
) -> list[Part]:
    """The parts into which the images of a dataset fall by themselves, and those of the user.

    Args:
        frames: `frames.csv` of the prepared dataset.
        names: of the images that were scored, in their order.
        own_parts: a column for each way in which the user divides them, by name of the frame.
    """
    own = frames.set_index("name").loc[list(names)]
    found = [*_thirds(own["brightness"].to_numpy(float))]
    sizes = own["width"].astype(str) + "x" + own["height"].astype(str)
    found += _values("size", sizes.tolist())
    if own["group"].nunique() <= MOST_DRIVES:
        found += _values("drive", own["group"].tolist())
    if own_parts is not None:
        for by, values in own_parts.loc[list(names)].items():
            found += _values(str(by), values.tolist())
    return [part for part in found if FEWEST_IMAGES <= part.rows.sum() < len(own)]


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


def _thirds(brightness: npt.NDArray[np.float64]) -> Iterator[Part]:
    """The images in three parts of equal number by their brightness."""
    thirds = np.array_split(np.argsort(brightness, kind="stable"), len(THIRDS))
    for name, members in zip(THIRDS, thirds, strict=True):
        rows = np.zeros(len(brightness), bool)
        rows[members] = True
        yield Part("brightness", name, rows)


def _values(by: str, values: Sequence[str]) -> list[Part]:
    """A part for each value; none where all images have the same."""
    found = sorted({value for value in values if value})
    return [Part(by, name, np.array([value == name for value in values])) for name in found]
