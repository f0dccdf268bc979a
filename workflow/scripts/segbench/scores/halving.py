"""Successive halving: which candidates go on after each round, and how sure that is.

Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization",
AISTATS 2016. Needs nothing but Python.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# iteration and mean IoU of every validation
Curve = Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a screening.

    Attributes:
        number: from 1.
        share: of its iterations for which a candidate is trained by the end of the round.
        keep: how many candidates go on.
    """

    number: int
    share: float
    keep: int


def rounds(candidates: int, keep: int, first: float) -> list[Round]:
    """The rounds of a screening: each keeps half, and trains twice as long as the one before.

    Args:
        candidates: how many there are.
        keep: how many are left in the end.
        first: share of the iterations in the first round.
    """
    found, left, share = list[Round](), candidates, first
    while left > keep:
        # nothing can be trained longer than to its end
        left = max(keep, math.ceil(left / 2)) if share < 1 else keep
        found.append(Round(len(found) + 1, min(share, 1.0), left))
        share *= 2
    return found


def last_iteration(share: float, iterations: int, interval: int) -> int:
    """Where a round ends: at the first validation after its share of the iterations."""
    return min(iterations, math.ceil(share * iterations / interval) * interval)


def best(curve: Curve) -> float:
    """The best validation of a curve; -1 where there is none."""
    return max((score for _, score in curve if not math.isnan(score)), default=-1.0)


def best_half(curves: Mapping[str, Curve], keep: int) -> list[str]:
    """The candidates that go on, the best first; of equals the one that was named first."""
    return sorted(curves, key=lambda name: -best(curves[name]))[:keep]


def slow_starters(curves: Mapping[str, Curve], kept: Sequence[str], iterations: int) -> list[str]:
    """Candidates that were dropped, and yet may have been the best in the end.

    A straight line through the last two validations, or through nothing and the only one, is drawn
    to the end of the training. Curves flatten, so that it promises too much to all; who promises
    more than the best of those that went on is named.

    Args:
        curves: of every candidate of a round.
        kept: those that go on, the best first.
        iterations: of a whole training.
    """
    to_beat = _promise(curves[kept[0]], iterations)
    return [
        name
        for name, curve in curves.items()
        if name not in kept and _promise(curve, iterations) > to_beat
    ]


def _promise(curve: Curve, iterations: int) -> float:
    """Mean IoU at the end of a straight line."""
    (x, y), (there, score) = ((0, 0.0), *curve)[-2:] if curve else ((0, 0.0), (1, 0.0))
    return score + max(0.0, (score - y) / (there - x)) * (iterations - there)


def pairs_in_order(before: Mapping[str, Curve], after: Mapping[str, Curve]) -> tuple[int, int]:
    """How many pairs of candidates kept their order from one round to the next, and of how many.

    Args:
        before: curves at the end of a round.
        after: of those that went on, at the end of the next.
    """
    pairs = [*itertools.combinations(after, 2)]
    same = sum(
        (best(before[a]) - best(before[b])) * (best(after[a]) - best(after[b])) > 0
        for a, b in pairs
    )
    return same, len(pairs)


def wilson_interval(hits: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share (Wilson, "Probable Inference", JASA 1927); 95 % by default."""
    if trials == 0:
        return 0.0, 1.0
    share, spread = hits / trials, z * z / trials
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / trials / 4)
    return max(0.0, middle - half), min(1.0, middle + half)
