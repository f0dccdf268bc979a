"""How often a screening would have found the winner, replayed in trainings that went to their ends.

A screening trains the beginning of each training and pauses there, so what it would have seen is
the beginning of each history. For every seed it is replayed, and its winner is compared with the
best of all trainings:

    python benchmarks/screening.py results/screening_trial [--keep 1] [--first 0.0625]
"""

import argparse
import csv
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

from segbench.scores.halving import Curve, best, best_half, last_iteration, rounds


def curves_by_seed(results: Path) -> dict[str, dict[str, Curve]]:
    """The validations of every run of a finished experiment, by seed and candidate."""
    found = defaultdict[str, dict[str, Curve]](dict)
    for path in sorted(results.glob("runs/*/*/seed*/history.csv")):
        model, start, seed = path.parent.parts[-3:]
        with path.open(newline="") as file:
            rows = [(int(row["iteration"]), row["val_miou"]) for row in csv.DictReader(file)]
        found[seed][f"{model}/{start}"] = [(i, float(score)) for i, score in rows if score]
    return found


def replay(curves: Mapping[str, Curve], keep: int, first: float) -> tuple[list[str], float]:
    """Who a screening would have kept, and its share of all iterations.

    Args:
        curves: of whole trainings.
        keep: how many are kept.
        first: share of the iterations in the first round.
    """
    left, trained = list(curves), dict.fromkeys(curves, 0.0)
    for one in rounds(len(curves), keep, first):
        seen = dict[str, Curve]()
        for name in left:
            whole, interval = curves[name][-1][0], curves[name][0][0]
            until = last_iteration(one.share, whole, interval)
            seen[name] = [point for point in curves[name] if point[0] <= until]
            trained[name] = until / whole
        left = best_half(seen, one.keep)
    trained |= dict.fromkeys(left, 1.0)
    return left, sum(trained.values()) / len(trained)


def main() -> None:
    """Replay and print a line for every seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--keep", type=int, default=1)
    parser.add_argument("--first", type=float, default=0.0625)
    words = parser.parse_args()
    found, hits, costs = curves_by_seed(words.results), 0, []
    for seed, curves in found.items():
        kept, cost = replay(curves, words.keep, words.first)
        order = best_half(curves, len(curves))
        hits += order[0] in kept
        costs.append(cost)
        lost = 100 * (best(curves[order[0]]) - max(best(curves[name]) for name in kept))
        print(
            f"{seed}: best of all {order[0]}, {100 * best(curves[order[0]]):.1f} % "
            f"({100 * (best(curves[order[0]]) - best(curves[order[1]])):.1f} points ahead of "
            f"{order[1]}); kept {', '.join(kept)}; lost {lost:.1f} points"
        )
    print(
        f"the winner was kept for {hits} of {len(found)} seeds, with "
        f"{100 * sum(costs) / len(costs):.0f} % of the iterations of all trainings"
    )


if __name__ == "__main__":
    main()
