"""Figures of what the starting point of a training is worth. Needs matplotlib, never torch."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from segbench.report.results import Candidate

# from what costs least to what costs most
ORDER = ("zero_shot", "finetuned", "imagenet", "scratch")
# what a gain is measured from: no training on the dataset, or else no knowledge before it
BASES = ("zero_shot", "scratch")


def initializations(candidates: Sequence[Candidate]) -> list[str]:
    """The initializations of a comparison, in the order in which they are drawn."""
    found = {candidate.initialization for candidate in candidates}
    return [one for one in ORDER if one in found]


def plot_slopes(candidates: Sequence[Candidate], title: str) -> Figure:
    """Mean IoU of every model over its starting points: a line per model, a dot per seed."""
    sns.set_theme(style="whitegrid", context="notebook")
    columns = initializations(candidates)
    models = list(dict.fromkeys(one.model for one in candidates if not one.is_external))
    colors = dict(zip(models, sns.color_palette("colorblind", len(models)), strict=True))
    figure, axes = plt.subplots(figsize=(2.6 + 1.9 * len(columns), 4.8), layout="constrained")
    for number, model in enumerate(models):
        own = {c.initialization: c for c in candidates if c.model == model}
        # side by side, so that the intervals of several models stay apart
        shift = (number - (len(models) - 1) / 2) * 0.05
        places = [columns.index(name) + shift for name in columns if name in own]
        shown = [own[name] for name in columns if name in own]
        axes.plot(
            places,
            [100 * c.miou for c in shown],
            color=colors[model],
            lw=2.2,
            label=model,
            zorder=2,
        )
        for place, candidate in zip(places, shown, strict=True):
            interval = candidate.interval
            axes.plot(
                [place] * 2, [100 * interval.low, 100 * interval.high], color=colors[model], lw=5,
                alpha=0.25, solid_capstyle="butt",
            )  # fmt: skip
            axes.scatter(
                [place] * len(candidate.runs), [100 * miou for miou in candidate.mious], s=30,
                color="white", edgecolor=colors[model], linewidth=1.4, zorder=3,
            )  # fmt: skip
    axes.set_xticks(range(len(columns)), [name.replace("_", "-") for name in columns])
    axes.set_xlim(-0.35, len(columns) - 0.65)
    axes.set_ylim(0, None)
    axes.set_ylabel("mean IoU, %")
    axes.set_title(title, loc="left")
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    over = candidates[0].repeated_over
    axes.set_xlabel(f"line: mean over {over}, dot: one run, band: 95 % interval", fontsize=10)
    sns.despine(figure)
    return figure


def plot_gains(candidates: Sequence[Candidate], per_class: pd.DataFrame, title: str) -> Figure:
    """What every class gains over the first of `BASES`, in points of IoU, as a heat map."""
    sns.set_theme(style="white", context="notebook")
    found = initializations(candidates)
    base = next((one for one in BASES if one in found), found[0])
    others = [one for one in found if one != base]
    means = per_class.groupby(["model", "initialization", "class"])["iou"].mean()
    classes = list(dict.fromkeys(per_class["class"]))
    keys = {(candidate.model, candidate.initialization) for candidate in candidates}
    rows = {}
    for model in dict.fromkeys(candidate.model for candidate in candidates):
        for other in others:
            if {(model, base), (model, other)} <= keys:
                gain = means[model, other] - means[model, base]
                label = f"{model}: {other.replace('_', '-')}"
                rows[label] = [100 * gain.get(name, np.nan) for name in classes]
    if not rows:
        return _nothing(f"{title}: no model has {base.replace('_', '-')} and another start")
    grid = pd.DataFrame(rows, index=classes).T
    reach = float(np.nanmax(np.abs(grid.to_numpy(float)), initial=1.0))
    figure, axes = plt.subplots(figsize=(3.4 + 0.78 * len(classes), 1.9 + 0.5 * max(1, len(grid))))
    sns.heatmap(
        grid, ax=axes, annot=True, fmt="+.0f", cmap="RdBu", center=0, vmin=-reach, vmax=reach,
        linewidths=1.5, cbar_kws={"label": "points of IoU", "shrink": 0.9},
    )  # fmt: skip
    axes.set_facecolor("#d9dde2")
    axes.set_xticklabels(axes.get_xticklabels(), rotation=35, ha="right")
    axes.set_yticklabels(axes.get_yticklabels(), rotation=0)
    axes.set_title(f"{title} over {base.replace('_', '-')}", loc="left")
    return figure


def _nothing(sentence: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure, axes = plt.subplots(figsize=(8, 1.2))
    axes.set_axis_off()
    axes.text(0, 0.5, sentence, va="center")
    return figure
