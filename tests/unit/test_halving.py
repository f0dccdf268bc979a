"""Which candidates of a screening go on, and how sure that is: worked out by hand."""

import pytest

from segbench.report.screening import plot_screening, remarks, screening_table
from segbench.scores.halving import (
    best_half,
    last_iteration,
    pairs_in_order,
    rounds,
    slow_starters,
    wilson_interval,
)
from segbench.system.screening_records import BriefTraining, Decision, RoundRecord


@pytest.mark.parametrize(
    ("candidates", "keep", "first", "expected"),
    [
        (30, 2, 0.0625, [(0.0625, 15), (0.125, 8), (0.25, 4), (0.5, 2)]),
        (8, 1, 0.0625, [(0.0625, 4), (0.125, 2), (0.25, 1)]),
        (3, 2, 0.25, [(0.25, 2)]),
        # from half, the second round is the whole training: no third one can be longer
        (16, 1, 0.5, [(0.5, 8), (1.0, 1)]),
        (2, 2, 0.1, []),
    ],
)
def test_each_round_keeps_half_and_trains_twice_as_long(candidates, keep, first, expected):
    found = rounds(candidates, keep, first)
    assert [(one.share, one.keep) for one in found] == expected
    assert [one.number for one in found] == list(range(1, len(expected) + 1))


def test_thirty_candidates_cost_little_more_than_five():
    left, cost, before = 30, 0.0, 0.0
    for one in rounds(30, 2, 0.0625):
        cost += left * (one.share - before)
        left, before = one.keep, one.share
    assert cost + left * (1 - before) == pytest.approx(5.8125)


def test_a_round_ends_at_a_validation():
    assert last_iteration(0.0625, 160, 10) == 10
    assert last_iteration(0.0625, 1600, 160) == 160  # a tenth instead of a sixteenth
    assert last_iteration(0.5, 90, 40) == 80
    assert last_iteration(1.0, 90, 40) == 90


def test_the_best_validation_so_far_decides_and_the_first_of_equals_stays():
    curves = {"a": [(1, 0.2), (2, 0.1)], "b": [(1, 0.15), (2, 0.19)], "c": [(1, 0.0), (2, 0.2)]}
    assert best_half(curves, 2) == ["a", "c"]
    assert best_half({"nothing": [], **curves}, 3) == ["a", "c", "b"]


def test_a_slow_starter_is_one_whose_line_ends_higher():
    curves = {
        "ahead": [(10, 0.30), (20, 0.31)],  # 0.31 + 0.001 * 80 = 0.39
        "late": [(10, 0.10), (20, 0.16)],  # 0.16 + 0.006 * 80 = 0.64
        "flat": [(10, 0.25), (20, 0.25)],
        "falling": [(10, 0.25), (20, 0.20)],
    }
    assert slow_starters(curves, ["ahead"], 100) == ["late"]


def test_pairs_keep_their_order_or_do_not():
    before = {"a": [(1, 0.3)], "b": [(1, 0.2)], "c": [(1, 0.1)], "gone": [(1, 0.0)]}
    after = {"a": [(2, 0.4)], "b": [(2, 0.3)], "c": [(2, 0.35)]}
    assert pairs_in_order(before, after) == (2, 3)


def test_wilsons_interval_is_that_of_the_textbooks():
    # Newcombe 1998, table I: 81 of 263 is 0.2553 to 0.3662, and 0 of 20 is 0 to 0.1611
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.fixture
def decision():
    def brief(candidate, *scores):
        curve = tuple((10 * i, score) for i, score in enumerate(scores, 1))
        iterations = 10 * len(scores)
        return BriefTraining(candidate=candidate, iteration=iterations, iterations=100, curve=curve)

    return Decision(
        origin="x",
        rounds=(
            RoundRecord(
                number=1, share=0.1, kept=("a/scratch", "b/scratch"),
                trainings=(brief("a/scratch", 0.3), brief("b/scratch", 0.2),
                           brief("c/scratch", 0.1), brief("d/scratch", 0.15)),
            ),
            RoundRecord(
                number=2, share=0.2, kept=("a/scratch",),
                trainings=(brief("a/scratch", 0.3, 0.32), brief("b/scratch", 0.2, 0.31)),
            ),
        ),
        not_screened=("z/zero_shot",),
    )  # fmt: skip


def test_the_table_has_a_row_per_candidate_and_the_furthest_first(decision):
    table = screening_table(decision)
    assert list(table["candidate"]) == ["a/scratch", "b/scratch", "d/scratch", "c/scratch"]
    assert list(table["iteration"]) == [20, 20, 10, 10]
    assert list(table["kept"]) == [True, False, False, False]
    # 0.31 and 0.11 more every ten iterations, against 0.32 and 0.02
    assert list(table["slow_starter"]) == [False, True, False, False]
    assert decision.kept == ("a/scratch", "z/zero_shot")


def test_the_remarks_say_what_it_cost_and_how_sure_it_is(decision):
    text = " ".join(remarks(decision))
    # 1 whole, 0.2 and twice 0.1, of four
    assert "35 % of the iterations" in text
    assert "1 of 1 pairs of candidates kept their order (100 %, 95 % interval 21 to 100 %)" in text
    assert "Slow starters: b/scratch was still rising" in text


def test_each_curve_is_named_at_its_end(decision):
    figure = plot_screening(decision)
    names = {text.get_text() for text in figure.axes[0].texts}
    assert names == {"a/scratch", "b/scratch", "c/scratch", "d/scratch"}
