"""What draws of scores allow to be claimed, with values worked out by hand."""

import numpy as np
import pytest

from segbench.scores import claims


def test_the_chance_of_a_lead_counts_ties_half():
    first, second = np.array([0.5, 0.5, 0.5, 0.5]), np.array([0.4, 0.6, 0.5, 0.5])
    assert claims.chance_of_lead(first, second) == pytest.approx((1 + 2 / 2) / 4)
    assert claims.chance_of_lead(first, first) == 0.5


def test_a_p_value_is_twice_the_share_of_the_rarer_side():
    # one of 99 draws lies below zero: 2 * (1 + 1) / 100
    assert claims.p_value(np.array([-0.1] + [0.2] * 98)) == pytest.approx(0.04)
    # which of the two is ahead does not matter
    assert claims.p_value(np.array([0.1] + [-0.2] * 98)) == pytest.approx(0.04)
    assert claims.p_value(np.full(99, 0.2)) == pytest.approx(0.02)
    assert claims.p_value(np.zeros(99)) == 1.0


def test_holm_multiplies_by_what_is_left_and_never_falls():
    # the example of the paper's procedure: sorted 0.01 * 4, 0.02 * 3, 0.03 * 2, 0.04 * 1
    assert claims.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert claims.holm([0.6, 0.5]) == [1.0, 1.0]
    assert claims.holm([]) == []


def test_ranks_are_intervals_and_ties_share_the_better_one():
    best, shaky = np.full(1000, 0.9), np.full(1000, 0.5)
    other = np.concatenate([np.full(900, 0.4), np.full(100, 0.6)])
    ranks = claims.rank_intervals([best, shaky, other, shaky])
    assert [(rank.low, rank.high) for rank in ranks] == [(1, 1), (2, 3), (2, 4), (2, 3)]


def test_few_draws_against_a_rank_do_not_count():
    lead = np.concatenate([np.full(990, 0.9), np.full(10, 0.1)])
    low, high = claims.rank_intervals([lead, np.full(1000, 0.5)])
    assert ((low.low, low.high), (high.low, high.high)) == ((1, 1), (2, 2))


def test_no_claim_is_made_of_chance_more_often_than_one_time_in_twenty():
    """Of 200 experiments with five models of equal worth, few tell any pair apart."""
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(200):
        truth = rng.normal(0, 1, 5)  # what sampling did to each
        draws = truth[:, None] + rng.normal(0, 1, (5, 2000))
        pairs = [(i, j) for i in range(5) for j in range(i)]
        p_values = [claims.p_value(draws[i] - draws[j]) for i, j in pairs]
        wrong += min(claims.holm(p_values)) < claims.SIGNIFICANCE
    assert wrong / 200 <= 0.07


def test_kendalls_tau_counts_pairs_that_agree():
    # of the six pairs of four models five agree: (5 - 1) / 6
    assert claims.kendall_tau([4, 3, 2, 1], [4, 2, 3, 1]) == pytest.approx(4 / 6)
    assert claims.kendall_tau([1, 2, 3], [10, 20, 30]) == 1.0
    assert claims.kendall_tau([1, 2, 3], [30, 20, 10]) == -1.0
    # tau-b: one pair is tied in the first: two agree of sqrt(2 * 3)
    assert claims.kendall_tau([1, 1, 2], [1, 2, 3]) == pytest.approx(2 / np.sqrt(6))
    assert np.isnan(claims.kendall_tau([1, 1], [1, 2]))


def test_ranks_of_a_draw_share_the_better_one():
    ranks = claims.ranks_of([np.array([0.5, 0.2]), np.array([0.5, 0.4]), np.array([0.1, 0.9])])
    assert ranks.tolist() == [[1, 3], [1, 2], [3, 1]]
