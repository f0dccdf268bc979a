"""The figures of a comparison. Needs matplotlib and seaborn, never torch.

Every candidate keeps its colour in all figures. Figures are written as SVG and PNG.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from segbench.report.results import Candidate

LEGEND_COLUMNS = 4
MARKED = 40  # validations up to which each has a dot


def palette(candidates: Sequence[Candidate]) -> dict[str, tuple[float, float, float]]:
    """A colour for each candidate, by its label."""
    name = "colorblind" if len(candidates) <= 10 else "husl"
    colors = sns.color_palette(name, len(candidates))
    return {c.label: color for c, color in zip(candidates, colors, strict=True)}


def plot_models(candidates: Sequence[Candidate], title: str) -> Figure:
    """Mean IoU per candidate, with its interval and a dot for every seed."""
    sns.set_theme(style="whitegrid", context="notebook")
    colors = palette(candidates)
    figure, axes = plt.subplots(figsize=(8.5, 1.3 + 0.55 * len(candidates)))
    for row, candidate in enumerate(candidates):
        interval = candidate.interval
        axes.barh(row, 100 * candidate.miou, color=colors[candidate.label], height=0.62, alpha=0.85)
        axes.plot(
            [100 * interval.low, 100 * interval.high], [row, row], color="#1f2933", lw=2,
            solid_capstyle="butt",
        )  # fmt: skip
        offsets = _spread(len(candidate.runs))
        axes.scatter(
            [100 * miou for miou in candidate.mious], row + offsets, s=26, color="white",
            edgecolor="#1f2933", linewidth=1.1, zorder=3,
        )  # fmt: skip
        end = 100 * max(interval.high, *candidate.mious)
        axes.text(end + 1.2, row, f"{100 * candidate.miou:.1f}", va="center", fontsize=11)
    top = 100 * max(max(c.interval.high, *c.mious) for c in candidates)
    axes.set_xlim(0, min(100.0, top * 1.1 + 3))
    axes.set_yticks(range(len(candidates)), [c.label for c in candidates])
    axes.invert_yaxis()
    over = candidates[0].repeated_over
    axes.set_xlabel(f"mean IoU, %    (bar: mean over {over}, dot: one run, line: 95 % interval)")
    axes.set_title(title, loc="left")
    axes.grid(axis="y", visible=False)
    sns.despine(figure, left=True)
    return figure


def plot_per_class(candidates: Sequence[Candidate], per_class: pd.DataFrame, title: str) -> Figure:
    """IoU per class and candidate as a heat map, mean over the seeds.

    A class that is absent says so; one that was never met is 0, and one that hardly was, below 1.
    """
    sns.set_theme(style="white", context="notebook")
    classes = list(dict.fromkeys(per_class["class"]))
    means = per_class.groupby(["model", "initialization", "class"])["iou"].mean()
    grid = pd.DataFrame(
        {
            c.label: [
                100 * means.get((c.model, c.initialization, name), np.nan) for name in classes
            ]
            for c in candidates
        },
        index=classes,
    ).T
    figure, axes = plt.subplots(figsize=(2.6 + 0.78 * len(classes), 1.9 + 0.5 * len(candidates)))
    sns.heatmap(
        grid, ax=axes, annot=grid.map(_whole), fmt="", cmap="viridis", vmin=0, vmax=100,
        linewidths=1.5, cbar_kws={"label": "IoU, %", "shrink": 0.9},
    )  # fmt: skip
    axes.set_facecolor("#d9dde2")
    for column in np.flatnonzero(grid.isna().all()):
        axes.text(
            column + 0.5, len(grid) / 2, "absent", rotation=90, ha="center", va="center",
            fontsize=9, color="#3e4c59",
        )  # fmt: skip
    axes.set_xticklabels(axes.get_xticklabels(), rotation=35, ha="right")
    axes.set_yticklabels(axes.get_yticklabels(), rotation=0)
    axes.set_title(title, loc="left")
    return figure


def _whole(score: float) -> str:
    """A score in whole per cent; 0 is none at all."""
    return "< 1" if 0 < score < 0.5 else f"{score:.0f}"


def plot_training(candidates: Sequence[Candidate], title: str) -> Figure:
    """Loss, learning rate and validation mean IoU over the iterations, a thin line for every run.

    A run whose best validation was its last has a triangle at its end, and the legend says which
    share of the time the validations took.
    """
    sns.set_theme(style="whitegrid", context="notebook")
    colors = palette(candidates)
    rows = -(-len(candidates) // LEGEND_COLUMNS)
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(13.5, 4 + 0.5 * rows), layout="constrained"
    )
    for candidate in candidates:
        if candidate.is_external:
            continue  # how that learnt is not known
        color = colors[candidate.label]
        for run in candidate.runs:
            label = _with_share(candidate) if run is candidate.runs[0] else None
            if run.history.empty:  # zero-shot: nothing was trained
                right.axhline(100 * run.miou, color=color, lw=1.4, ls=":", label=label)
                continue
            iterations = run.history["iteration"]
            left.plot(iterations, _relative(run.history["loss"]), color=color, lw=1.2)
            rates = run.history["learning_rate"]
            # a schedule may end at 0, which has no place on this axis
            middle.plot(iterations, rates.where(rates > 0), color=color, lw=1.2)
            checked = run.history.dropna(subset=["val_miou"])
            right.plot(
                checked["iteration"], 100 * checked["val_miou"], color=color, lw=1.4, label=label,
                marker="o" if len(checked) <= MARKED else None, ms=4,
            )  # fmt: skip
            if run.is_still_rising:
                last = checked.iloc[-1]
                right.plot(last["iteration"], 100 * last["val_miou"], "^", color=color, ms=10)
    if all(run.history.empty for candidate in candidates for run in candidate.runs):
        left.text(0.5, 0.5, "nothing was trained", ha="center", transform=left.transAxes)
    else:
        middle.set_yscale("log")
        middle.yaxis.set_major_formatter("{x:g}")
        middle.yaxis.set_minor_formatter(NullFormatter())
    left.set(xlabel="iteration", ylabel="training loss, relative to its start", ylim=(0, None))
    middle.set(xlabel="iteration", ylabel="learning rate")
    right.set(
        xlabel="iteration    (▲ best was the last)", ylabel="validation mean IoU, %", ylim=(0, None)
    )
    figure.legend(loc="outside lower center", ncols=LEGEND_COLUMNS, frameon=False, fontsize=10)
    figure.suptitle(title, x=0.01, ha="left")
    sns.despine(figure)
    return figure


def _with_share(candidate: Candidate) -> str:
    """A label that says how much of the time of its trainings the validations took."""
    shares = [run.record.validation_share for run in candidate.runs]
    known = [share for share in shares if share is not None]
    if not known:
        return candidate.label
    return f"{candidate.label}\n    validations {100 * np.mean(known):.0f} % of the time"


def _relative(loss: pd.Series) -> pd.Series:
    """Smoothed loss over its first value: models sum different losses, so only shapes compare."""
    smooth = loss.ewm(span=5).mean()
    relative: pd.Series = smooth / smooth.iloc[0]
    return relative


def _spread(count: int) -> npt.NDArray[np.float64]:
    """Vertical offsets that keep the dots of several seeds apart."""
    return np.linspace(-0.16, 0.16, count) if count > 1 else np.zeros(1)
