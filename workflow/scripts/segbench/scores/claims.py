"""What draws of scores allow to be claimed: leads, corrected for their number, and ranks.

Needs NumPy alone.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from segbench.scores.bootstrap import Interval
from segbench.scores.metrics import Scores

SIGNIFICANCE = 0.05


def chance_of_lead(first: Scores, second: Scores) -> float:
    """Share of the draws in which the first model is ahead; a tie counts half.

    Args:
        first: scores of one model, [resamples].
        second: those of the other on the same draws.
    """
    return float(np.mean(first > second) + np.mean(first == second) / 2)


def p_value(difference: Scores) -> float:
    """How often draws contradict that there is a difference, two-sided.

    Twice the share of the draws on the rarer side of zero; one is added to the counts, because a
    bootstrap never shows that something is impossible (Davison and Hinkley 1997, section 4.2).

    Args:
        difference: of two models' scores, draw by draw, [resamples].
    """
    rarer = min(int((difference <= 0).sum()), int((difference >= 0).sum()))
    return min(1.0, 2 * (rarer + 1) / (len(difference) + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979), in the order in which they are given.

    Of the claims with a corrected value below 0.05, the chance that any is wrong is below 5 %.
    """
    order = np.argsort(p_values, kind="stable")
    factors = len(p_values) - np.arange(len(p_values))
    stepped = np.maximum.accumulate(np.asarray(p_values, float)[order] * factors)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in corrected]


def ranks_of(draws: Sequence[Scores]) -> npt.NDArray[np.int64]:
    """Rank of each model in each draw, 1 for the best, [models, resamples]; ties share the better.

    Args:
        draws: of each model, on the same draws, [resamples].
    """
    scores = np.asarray(draws)
    # how many are better, draw by draw, and oneself
    return np.asarray((scores[None] > scores[:, None]).sum(1) + 1)


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's tau-b of two rankings of the same models (Kendall 1945): 1 equal, -1 reversed.

    NaN where one of them tells no two models apart.

    Args:
        first: a score of each model.
        second: another score of each model, in the same order.
    """
    pairs = np.triu_indices(len(first), 1)
    one, other = (
        np.sign(np.subtract.outer(np.asarray(scores), np.asarray(scores)))[pairs]
        for scores in (first, second)
    )
    told_apart = np.sqrt(float((one != 0).sum()) * float((other != 0).sum()))
    return float((one * other).sum() / told_apart) if told_apart else float("nan")


def rank_intervals(draws: Sequence[Scores]) -> list[Interval]:
    """Interval of each model's rank over the draws, 1 for the best; ties share the better one.

    Args:
        draws: of each model, on the same draws, [resamples].
    """
    ranks = ranks_of(draws)
    lows = np.quantile(ranks, 0.025, axis=1, method="lower")
    highs = np.quantile(ranks, 0.975, axis=1, method="higher")
    return [Interval(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]
