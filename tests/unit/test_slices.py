"""Scores on parts of the images: which parts there are, and where a model is weak beyond chance."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from test_presentation import SCORES, TRAINED

from segbench.report.parts import parts_of
from segbench.report.results import Candidate, Run, rank
from segbench.report.slices import (
    plot_slices,
    scores_of_parts,
    slices_table,
    weak_spots,
)

NAMES = [f"d{i % 3}__{i}" for i in range(60)]


def frames(**columns) -> pd.DataFrame:
    content = {
        "name": NAMES, "group": [name[:2] for name in NAMES], "height": 64, "width": 96,
        "brightness": np.linspace(0.1, 0.9, 60),
    }  # fmt: skip
    return pd.DataFrame(content | columns)


def candidates(dark: int, fold: int | None = None) -> list[Candidate]:
    """Two models of which the better one finds so many per cent on the twenty darkest images."""
    rng, runs = np.random.default_rng(0), []
    for model, level in (("a", 80), ("b", 50)):
        for seed in range(2):
            found = level + rng.integers(-5, 6, 60)
            found[:20] = (dark if model == "a" else level) + rng.integers(-5, 6, 20)
            counts = np.zeros((60, 2, 2), np.int64)
            counts[:, 0, 0], counts[:, 0, 1] = found, 100 - found
            counts[:, 1, 1] = 100
            runs.append(
                Run(model, "scratch", seed, fold, counts, SCORES, TRAINED, pd.DataFrame(),
                    Path(), tuple(name[:2] for name in NAMES), tuple(NAMES))
            )  # fmt: skip
    return rank(runs)


def test_images_fall_into_thirds_of_brightness_and_drives():
    parts = {part.name: part for part in parts_of(frames(), NAMES)}
    assert list(parts) == ["dark third", "middle third", "bright third", "d0", "d1", "d2"]
    assert np.flatnonzero(parts["dark third"].rows).tolist() == list(range(20))
    assert np.flatnonzero(parts["d1"].rows).tolist() == list(range(1, 60, 3))


def test_the_users_columns_are_parts_too():
    weather = ["rain" if i % 4 else "sun" for i in range(60)]
    own = pd.DataFrame({"weather": weather}, index=NAMES).sample(frac=1, random_state=0)
    parts = [part for part in parts_of(frames(), NAMES, own) if part.by == "weather"]
    assert [(part.name, int(part.rows.sum())) for part in parts] == [("rain", 45), ("sun", 15)]
    assert np.flatnonzero(parts[1].rows).tolist() == list(range(0, 60, 4))


def test_sizes_are_parts_where_they_differ_and_single_images_are_none():
    width = [96] * 50 + [48] * 9 + [24]
    parts = {part.name: int(part.rows.sum()) for part in parts_of(frames(width=width), NAMES)}
    assert parts["96x64"] == 50
    assert parts["48x64"] == 9
    assert "24x64" not in parts


def test_many_drives_are_no_parts():
    groups = [f"d{i % 21}" for i in range(60)]
    assert {part.by for part in parts_of(frames(group=groups), NAMES)} == {"brightness"}


def test_a_score_is_that_of_the_images_of_the_part():
    ranked = candidates(dark=60)
    table = slices_table(scores_of_parts(ranked, parts_of(frames(), NAMES)))
    row = table[(table["model"] == "a") & (table["part"] == "dark third")].iloc[0]
    expected = []
    for run in ranked[0].runs:
        found = run.confusion[:20].sum(0)
        expected.append(np.mean([found[0, 0] / 2000, 2000 / (2000 + found[0, 1])]))
    assert row["miou"] == pytest.approx(np.mean(expected))
    assert row["ci_low"] < row["miou"] < row["ci_high"]
    assert row["images"] == 20
    assert len(table) == 2 * 6


def test_a_weak_spot_is_named_and_chance_is_not():
    ranked = candidates(dark=60)
    scores = scores_of_parts(ranked, parts_of(frames(), NAMES))
    (said,) = weak_spots(scores, ranked[0])
    assert said.startswith("brightness dark third (")
    assert "points below its other images" in said
    level = candidates(dark=80)
    assert weak_spots(scores_of_parts(level, parts_of(frames(), NAMES)), level[0]) == []


def test_a_class_that_only_one_side_shows_does_not_count_as_a_difference():
    """All dark images lack the second class, which the model never finds elsewhere."""
    counts = np.zeros((60, 2, 2), np.int64)
    counts[:, 0, 0] = 100
    counts[20:, 1, 0] = 1
    run = Run("a", "scratch", 0, None, counts, SCORES, TRAINED, pd.DataFrame(), Path(),
              names=tuple(NAMES))  # fmt: skip
    scores = scores_of_parts(rank([run]), parts_of(frames(), NAMES))
    dark = next(one for one in scores if one.part.name == "dark third")
    # 100 % of the first class against 4000 of 4040 pixels
    assert dark.draws.difference == pytest.approx(1 - 4000 / 4040)


def test_folds_have_no_parts_in_common():
    assert scores_of_parts(candidates(60, fold=0), parts_of(frames(), NAMES)) == []


def test_the_figure_marks_weak_spots():
    ranked = candidates(dark=60)
    scores = scores_of_parts(ranked, parts_of(frames(), NAMES))
    texts = [text.get_text() for text in plot_slices(scores, ranked, "x").axes[0].texts]
    assert sum(text.endswith("*") for text in texts) == 1
    assert len(texts) == 12
    assert plot_slices([], ranked, "x").axes[0].texts[0].get_text().startswith("x: no parts")
    plt.close("all")
