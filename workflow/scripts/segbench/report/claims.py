"""Figures of how far a ranking can be trusted: over the draws, and over the length of training.

Needs matplotlib, never torch.
"""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from segbench.report.figures import palette
from segbench.report.results import Candidate, Run
from segbench.scores.claims import kendall_tau, ranks_of

HALF = 0.5
LEAST_SHOWN = 0.005  # share of the draws below which a rank gets no circle


def plot_ranks(candidates: Sequence[Candidate], title: str) -> Figure:
    """How often each candidate has which rank over the draws: the larger a circle, the more often.

    After Wiesenfarth et al., Methods and open-source toolkit for analyzing and visualizing
    challenge results (2021).
    """
    sns.set_theme(style="whitegrid", context="notebook")
    colors, count = palette(candidates), len(candidates)
    ranks = ranks_of([candidate.draws.over_all for candidate in candidates])
    figure, axes = plt.subplots(
        figsize=(max(6.5, 3.4 + 0.7 * count), 1.8 + 0.55 * count), layout="constrained"
    )
    for row, candidate in enumerate(candidates):
        shares = np.bincount(ranks[row], minlength=count + 1)[1:] / ranks.shape[1]
        for rank, share in enumerate(shares, start=1):
            if share < LEAST_SHOWN:
                continue
            axes.scatter(rank, row, s=420 * share, color=colors[candidate.label], zorder=3)
            axes.annotate(
                f"{100 * share:.0f}", (rank, row), (9, 7), textcoords="offset points", fontsize=9
            )
    axes.set_yticks(range(count), [candidate.label for candidate in candidates])
    axes.set_xticks(range(1, count + 1))
    axes.set_xlim(0.4, count + 0.6)
    axes.set_ylim(count - 0.4, -0.6)
    over = max((one.interval_covers for one in candidates), key=len)
    axes.set_xlabel(f"rank, and in how many per cent of the draws\n(of {over})", fontsize=10)
    axes.set_title(title, loc="left")
    sns.despine(figure, left=True)
    return figure


def plot_budget(candidates: Sequence[Candidate], title: str) -> Figure:
    """Validation mean IoU at half and at the whole length of training, a line per candidate."""
    sns.set_theme(style="whitegrid", context="notebook")
    colors = palette(candidates)
    trained = [one for one in candidates if all(run.record.is_trained for run in one.runs)]
    figure, axes = plt.subplots(figsize=(7.5, 4.4), layout="constrained")
    ends = {c.label: tuple(_reached(c, share) for share in (HALF, 1.0)) for c in trained}
    for candidate in trained:
        label = f"{candidate.label}{' (still rising)' * candidate.is_still_rising}"
        axes.plot(
            [0, 1], [100 * value for value in ends[candidate.label]], marker="o", lw=2,
            color=colors[candidate.label], label=label,
        )  # fmt: skip
    axes.set_xticks([0, 1], ["half of the iterations", "all of them"])
    axes.set_xlim(-0.2, 1.2)
    axes.set_ylabel("validation mean IoU, %")
    axes.set_title(title, loc="left")
    axes.grid(axis="x", visible=False)
    if len(trained) > 1:
        tau = kendall_tau(*zip(*ends.values(), strict=True))
        axes.set_xlabel(f"Kendall's tau between the two rankings: {tau:.2f}", fontsize=10)
    if trained:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    else:
        axes.text(0.5, 0.5, "nothing was trained", ha="center", transform=axes.transAxes)
    sns.despine(figure)
    return figure


def _reached(candidate: Candidate, share: float) -> float:
    """Mean over the runs of the best validation up to a share of the iterations."""
    return float(np.mean([_best_until(run, share) for run in candidate.runs]))


def _best_until(run: Run, share: float) -> float:
    checked = run.history.dropna(subset=["val_miou"])
    early = checked[checked["iteration"] <= share * run.record.iterations]
    # the first validation may come after that
    return float((early if len(early) else checked.head(1))["val_miou"].max())
