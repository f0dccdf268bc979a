"""Coarser classes are scored as if labels and predictions had been drawn with them."""

import json

import numpy as np
import pytest
from helpers import ROOT

from segbench.config.schema import parse_section
from segbench.datasets.description import DatasetDescription, load_description
from segbench.datasets.meaning import what_counts, what_is_grouped
from segbench.errors import ConfigError
from segbench.scores.metrics import class_iou, confusion_matrix, mean_iou, merged

IDD = ROOT / "config/datasets/idd20k2.yaml"


def test_merged_counts_are_those_of_relabelled_maps():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 6, (2, 40, 50)).astype(np.uint8)
    truth[:4] = 255
    groups = [(0, 3), (1,), (2, 4)]  # the sixth class belongs to none
    coarse = np.full(256, 255, np.uint8)
    for place, ids in enumerate(groups):
        coarse[list(ids)] = place
    wrong = np.where(coarse == 255, 3, coarse).astype(np.uint8)
    expected = confusion_matrix(coarse[truth], wrong[predicted], 3, more_predictions=1)
    assert np.array_equal(merged(confusion_matrix(truth, predicted, 6), groups), expected)


def test_counts_of_several_images_with_a_prediction_of_no_class_are_merged_alike():
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 9, (5, 4, 5))
    groups = [(0, 1), (2, 3)]
    found = merged(counts, groups)
    assert found.shape == (5, 2, 3)
    assert np.array_equal(found.sum(0), merged(counts.sum(0), groups))
    assert found.sum() == counts.sum()
    assert found[0, 1, 2] == counts[0, 2:4, 4].sum()


def test_a_perfect_model_is_perfect_at_every_level():
    counts = np.diag([5, 7, 9, 11])
    assert class_iou(merged(counts, [(0, 2), (1, 3)])).tolist() == [1, 1]
    assert mean_iou(merged(counts, [(0, 2), (1, 3)])) == 1


def test_idd_has_the_levels_of_its_leaderboard():
    levels = dict(what_is_grouped(load_description(IDD)))
    assert {name: len(groups) for name, groups in levels.items()} == {"level2": 16, "level1": 7}
    level1 = dict(levels["level1"])
    names = [found.name for found in load_description(IDD).classes.classes]
    assert [names[i] for i in level1["living things"]] == ["person", "rider"]
    assert sorted(i for ids in level1.values() for i in ids) == list(range(26))


def test_a_description_with_levels_is_handed_to_jobs_as_json():
    ours = load_description(IDD)
    handed = parse_section(DatasetDescription, json.loads(ours.model_dump_json()), "job")
    assert handed == ours


def test_levels_are_no_reason_to_prepare_the_data_again(tmp_path):
    classes = ROOT / "config/classes"
    text = IDD.read_text().replace("../classes", str(classes))
    (tmp_path / "with.yaml").write_text(text)
    (tmp_path / "without.yaml").write_text(text[: text.index("# the leaderboard's coarser")])
    ours, theirs = (load_description(tmp_path / f"{one}.yaml") for one in ("with", "without"))
    assert set(ours.coarser) == {"level1", "level2"}
    assert theirs.coarser == {}
    assert what_counts(ours) == what_counts(theirs)


@pytest.mark.parametrize(
    ("coarser", "said"),
    [
        ("{level1: ../classes/camvid.yaml}", "`coarser.level1`: 'road' cannot be grouped"),
        ("{level1: absent.yaml}", "absent.yaml"),
        ("[level1]", "`coarser`: must give names of letters and digits to class lists"),
        ("{'level 1': ../classes/idd_level1.yaml}", "`coarser`: must give names of letters"),
        ("{level1: 3}", "`coarser`: must give names of letters and digits to class lists"),
    ],
)
def test_levels_that_cannot_be_are_refused(tmp_path, coarser, said):
    text = IDD.read_text()
    text = text[: text.index("coarser:")] + f"coarser: {coarser}\n"
    (tmp_path / "idd.yaml").write_text(text.replace("../classes", str(ROOT / "config/classes")))
    with pytest.raises(ConfigError, match=said):
        load_description(tmp_path / "idd.yaml")
