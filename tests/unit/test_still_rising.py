"""A training that was best at its end is marked, and the report warns of it."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from test_presentation import MANIFEST, SCORES, TRAINED, run

from segbench.report.claims import plot_budget, plot_ranks
from segbench.report.columns import readable_models
from segbench.report.csv_tables import models_table
from segbench.report.results import Run, rank
from segbench.report.summary import remarks


def trained(model: str, seed: int, accuracies: list[int], best: int, validations=()) -> Run:
    plain = run(model, seed, accuracies)
    record = TRAINED.model_copy(update={"iterations": 100, "best_iteration": best})
    history = pd.DataFrame(
        {"iteration": [25 * (i + 1) for i in range(len(validations))], "val_miou": validations}
    )
    return Run(model, "scratch", seed, None, plain.confusion, SCORES, record, history, Path())


def test_a_model_is_marked_where_half_of_its_runs_were_best_at_their_end():
    ranked = rank(
        [trained("a", 0, [80, 90], 100), trained("a", 1, [80, 90], 50),
         trained("b", 0, [60, 70], 75), trained("b", 1, [60, 70], 50)]
    )  # fmt: skip
    table = models_table(ranked)
    assert table["still_rising"].tolist() == [True, False]
    assert "\N{UPWARDS ARROW}" in readable_models(table)["mean IoU %"][0]
    assert "\N{UPWARDS ARROW}" not in readable_models(table)["mean IoU %"][1]


@pytest.mark.parametrize(
    ("best_of_b", "said"),
    [
        (75, "**Trainings of a were best at the last validation**"),
        (100, "**All trainings were best at the last validation**"),
    ],
)
def test_the_report_warns_of_it(best_of_b, said):
    ranked = rank([trained("a", 0, [80, 90], 100), trained("b", 0, [60, 70], best_of_b)])
    assert any(remark.startswith(said) for remark in remarks(ranked, MANIFEST))


def test_trainings_are_counted_where_not_all_of_them_were_best_at_their_end():
    ranked = rank(
        [trained("a", 0, [80, 90], 100), trained("a", 1, [80, 90], 75),
         trained("b", 0, [60, 70], 100), trained("b", 1, [60, 70], 100)]
    )  # fmt: skip
    said = "**3 of 4 trainings were best at the last validation**"
    assert any(remark.startswith(said) for remark in remarks(ranked, MANIFEST))


def test_nothing_is_said_where_all_have_flattened():
    ranked = rank([trained("a", 0, [80, 90], 75), trained("b", 0, [60, 70], 50)])
    assert remarks(ranked, MANIFEST) == []


def test_the_ranking_at_half_of_the_training_is_compared_with_the_last_one():
    ranked = rank(
        [trained("a", 0, [80, 90], 100, [0.1, 0.2, 0.3, 0.9]),
         trained("b", 0, [60, 70], 75, [0.1, 0.5, 0.6, 0.55]),
         trained("c", 0, [40, 50], 75, [0.1, 0.3, 0.4, 0.2])]
    )  # fmt: skip
    axes = plot_budget(ranked, "").axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert {label: [round(y) for y in ys] for label, ys in drawn.items()} == {
        "a (still rising)": [20, 90], "b": [50, 60], "c": [30, 40],
    }  # fmt: skip
    # half: b, c, a; whole: a, b, c. Of the three pairs one agrees: (1 - 2) / 3
    assert axes.get_xlabel().endswith("-0.33")
    plt.close("all")


def test_ranks_are_drawn_with_their_shares():
    ranked = rank([trained("a", 0, [80, 90], 75), trained("b", 0, [10, 20], 50)])
    axes = plot_ranks(ranked, "").axes[0]
    assert [text.get_text() for text in axes.texts] == ["100", "100"]
    plt.close("all")
