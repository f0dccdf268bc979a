"""What a screening found: a decision after each round, a table, curves, and how sure it is.

Needs no network, no GPU and no torch.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segbench.report import plotting, tables
from segbench.scores import halving
from segbench.system.screening_records import BriefTraining, Decision, Point, RoundRecord

DROPPED = "#9aa5b1"


def halve(trainings: Sequence[Path], number: int, share: float, keep: int) -> RoundRecord:
    """Decide after a round who goes on.

    Args:
        trainings: records of the candidates that took part, in the order of the config.
        number: of the round.
        share: of its iterations for which every candidate was trained.
        keep: how many go on.

    Raises:
        DataError: a record is damaged or of another version.
    """
    found = [BriefTraining.read(path) for path in trainings]
    curves = {one.candidate: one.curve for one in found}
    kept = halving.best_half(curves, keep)
    return RoundRecord(number=number, share=share, trainings=tuple(found), kept=tuple(kept))


def write_screening(decision_path: Path, table_path: Path, figure: Path, page: Path) -> None:
    """Write the table as CSV and to be read, and the curves.

    Args:
        decision_path: what the screening decided.
        table_path: the CSV file; fractions.
        figure: the SVG file; a PNG file is written beside it.
        page: the HTML file; Markdown and LaTeX are written beside it.
    """
    decision = Decision.read(decision_path)
    table = screening_table(decision)
    table.to_csv(table_path, index=False)
    plotting.save(plot_screening(decision), figure)
    readable = _readable(table)
    bold = pd.DataFrame(False, index=readable.index, columns=readable.columns)
    bold["candidate"] = table["kept"]
    note = " ".join(remarks(decision))
    tables.write_readable(readable, page.with_suffix(""), "Screening", note, bold)


def remarks_in(decision: str | Sequence[str]) -> list[str]:
    """The remarks on a screening, none where there was none; takes what a rule names as input."""
    return remarks(Decision.read(Path(decision))) if isinstance(decision, str) else []


def remarks(decision: Decision) -> list[str]:
    """How many were dropped, how sure that is, and who may have been dropped too early."""
    first, last = decision.rounds[0], decision.rounds[-1]
    count, kept = len(first.trainings), len(last.kept)
    said = [
        f"Before, {count} candidates were screened: trained briefly with one seed, the better half "
        f"after each round further. {kept} went on to the end, which takes "
        f"{100 * _cost(decision):.0f} % of the iterations that all of them would take."
    ]
    same, pairs = _order_kept(decision)
    if pairs:
        low, high = halving.wilson_interval(same, pairs)
        said.append(
            f"How sure: from one round to the next {same} of {pairs} pairs of candidates "
            f"kept their order ({100 * same / pairs:.0f} %, 95 % interval {100 * low:.0f} to "
            f"{100 * high:.0f} %)."
        )
    else:
        said.append("How sure cannot be said of a single round: lower `keep` for more of them.")
    if slow := _slow(decision):
        was = "was" if len(slow) == 1 else "were"
        said.append(
            f"Slow starters: {', '.join(slow)} {was} still rising faster than the best when "
            f"dropped. To be sure, compare {'it' if len(slow) == 1 else 'them'} without "
            "`screening`, or raise `screening.first`."
        )
    return said


def screening_table(decision: Decision) -> pd.DataFrame:
    """A row per candidate, those that went furthest first: fractions."""
    slow = set(_slow(decision))
    rows = []
    for found in decision.rounds:
        for one in found.trainings:
            is_kept = one.candidate in found.kept
            if is_kept and found is not decision.rounds[-1]:
                continue  # it has a longer training in the next round
            rows.append(
                {
                    "candidate": one.candidate,
                    "rounds": found.number,
                    "iteration": one.iteration,
                    "iterations": one.iterations,
                    "val_miou": halving.best(one.curve),
                    "kept": is_kept,
                    "slow_starter": one.candidate in slow,
                }
            )
    found_rows = pd.DataFrame(rows)
    order = ["kept", "rounds", "val_miou"]
    return found_rows.sort_values(order, ascending=False, kind="stable", ignore_index=True)


def plot_screening(decision: Decision) -> Figure:
    """The validations of every candidate until it was dropped, and where the rounds ended."""
    sns.set_theme(style="whitegrid", context="notebook")
    figure, axes = plt.subplots(figsize=(9, 4.8))
    kept = decision.rounds[-1].kept
    colors = dict(zip(kept, sns.color_palette("colorblind", len(kept)), strict=True))
    ends = []
    for name, (curve, iterations) in _longest(decision).items():
        color = colors.get(name, DROPPED)
        x = [100 * iteration / iterations for iteration, _ in curve]
        y = [100 * score for _, score in curve]
        axes.plot(
            x, y, color=color, lw=2.2 if name in kept else 1.3, marker="o", ms=4,
            zorder=3 if name in kept else 2,
        )  # fmt: skip
        if name not in kept:
            axes.plot(x[-1:], y[-1:], color=color, marker="X", ms=9, ls="none")
        ends.append((x[-1], y[-1], name, color if name in kept else "#52606d"))
    for found in decision.rounds:
        reached = max(100 * one.iteration / one.iterations for one in found.trainings)
        axes.axvline(reached, color="#52606d", lw=1, ls=":", zorder=1)
    _label(axes, ends)
    axes.set_xlim(0, None)
    axes.set_ylim(0, None)
    axes.set_xlabel("share of the iterations of a whole training, %    (dotted: end of a round)")
    axes.set_ylabel("mean IoU of the validation, %")
    axes.set_title("Screening: who went on, and who was dropped", loc="left")
    sns.despine(figure)
    return figure


def _label(axes: Axes, ends: list[tuple[float, float, str, object]]) -> None:
    """Name each curve at its end; names that would cover each other are moved apart."""
    top = max(y for _, y, _, _ in ends)
    apart, last = top * 0.055, dict[float, float]()
    for x, y, name, color in sorted(ends, key=lambda end: (end[0], end[1])):
        place = max(y, last.get(round(x), -apart) + apart)
        last[round(x)] = place
        axes.annotate(
            name, (x, place), (7, 0), textcoords="offset points", va="center", fontsize=9,
            color=color,
        )  # fmt: skip


def _longest(decision: Decision) -> dict[str, tuple[Sequence[Point], int]]:
    """The longest curve of each candidate, and the iterations of its whole training."""
    trainings = (one for found in decision.rounds for one in found.trainings)
    return {one.candidate: (one.curve, one.iterations) for one in trainings if one.curve}


def _cost(decision: Decision) -> float:
    """Share of the iterations that are trained, of those that all candidates would take."""
    trained = dict[str, float]()
    for found in decision.rounds:
        trained |= {one.candidate: one.iteration / one.iterations for one in found.trainings}
    trained |= dict.fromkeys(decision.rounds[-1].kept, 1.0)
    return sum(trained.values()) / len(trained)


def _order_kept(decision: Decision) -> tuple[int, int]:
    """Over all rounds, the pairs that kept their order in the next, and how many there were."""
    neighbours = itertools.pairwise(decision.rounds)
    found = [halving.pairs_in_order(before.curves, after.curves) for before, after in neighbours]
    return sum(same for same, _ in found), sum(pairs for _, pairs in found)


def _slow(decision: Decision) -> list[str]:
    """Candidates that were dropped while they rose faster than the best."""
    return [
        name
        for found in decision.rounds
        for name in halving.slow_starters(
            found.curves,
            found.kept,
            max(one.iterations for one in found.trainings),
        )
    ]


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "candidate": table["candidate"],
            "rounds": table["rounds"].astype(str),
            "trained, % of its iterations": (100 * table["iteration"] / table["iterations"]).map(
                "{:.0f}".format
            ),
            "best validation, mean IoU %": table["val_miou"].map(tables.percent),
            "goes on": table["kept"].map({True: "yes", False: "no"}),
            "slow starter": table["slow_starter"].map({True: "yes", False: ""}),
        }
    )
