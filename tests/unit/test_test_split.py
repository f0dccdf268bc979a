"""A test split: prepared, checked and described like the others, and seen by no training."""

import re

import pytest
from layouts import columns, png_bytes, write_image

from segbench.config.schema import parse_section
from segbench.datasets.check import check_dataset
from segbench.datasets.description import DatasetDescription
from segbench.datasets.manifest import Manifest
from segbench.datasets.prepare import prepare
from segbench.errors import ConfigError, DataError
from segbench.report.dataset_card import write_card
from segbench.system.config_text import what_counts

FRAMES = [("train", g) for g in "abcd"] + [("val", "e"), ("val", "f"), ("test", "g")]


def describe(splits, images="img/{split}/{group}/{frame}.png") -> DatasetDescription:
    data = {
        "name": "roads", "source": "x", "images": images, "splits": splits,
        "labels": {"format": "index", "path": images.replace("img", "gt", 1)},
        "classes": {"classes": [{"name": n, "color": [i, i, i]} for i, n in enumerate("ab")]},
    }  # fmt: skip
    return parse_section(DatasetDescription, data, "roads.yaml")


def add(root, split, group, frame="1", seed=0, label=(0, 1)):
    write_image(root / f"img/{split}/{group}/{frame}.png", seed)
    path = root / f"gt/{split}/{group}/{frame}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(columns(*label)))


@pytest.fixture
def raw(tmp_path):
    for seed, (split, group) in enumerate(FRAMES):
        add(tmp_path / "raw", split, group, seed=seed)
    return tmp_path / "raw"


def names(folder, split):
    listed = (folder / f"splits/{split}.txt").read_text().split()
    for kind in ("img", "label"):
        assert {path.stem for path in (folder / f"{split}_{kind}").iterdir()} == set(listed)
    return listed


def prepared(description, raw, folder):
    prepare(description, raw, folder)
    return Manifest.read(folder / "manifest.json")


def test_it_is_named_by_a_value_of_the_pattern(raw, tmp_path):
    manifest = prepared(describe({"test": "test"}), raw, tmp_path / "out")
    assert names(tmp_path / "out", "test") == ["g__1"]
    assert names(tmp_path / "out", "val") == ["e__1", "f__1"]
    assert manifest.splits["test"].images == 1
    assert manifest.scored_split == "test"


def test_it_is_named_by_a_list(raw, tmp_path):
    for split in ("train", "val", "test"):
        lines = [f"{group}__1" for of, group in FRAMES if of == split]
        (raw / f"{split}.txt").write_text("\n".join(lines))
    lists = {split: f"{split}.txt" for split in ("train", "val", "test")}
    prepared(describe(lists), raw, tmp_path / "out")
    assert names(tmp_path / "out", "test") == ["g__1"]


def test_it_is_drawn_by_group(tmp_path):
    for group in range(20):
        for frame in range(2):
            add(tmp_path / "raw", "all", str(group), str(frame), seed=10 * group + frame)
    description = describe(
        {"random": {"val": 0.2, "test": 0.3}}, images="img/all/{group}/{frame}.png"
    )
    prepared(description, tmp_path / "raw", tmp_path / "out")
    sides = {split: names(tmp_path / "out", split) for split in ("train", "val", "test")}
    assert {split: len(listed) for split, listed in sides.items()} == {
        "train": 20, "val": 8, "test": 12,
    }  # fmt: skip
    groups = {split: {n.split("__")[0] for n in listed} for split, listed in sides.items()}
    assert sum(len(found) for found in groups.values()) == 20  # no group in two splits


def test_what_a_training_sees_does_not_depend_on_it(raw, tmp_path):
    without = prepared(describe({}), raw, tmp_path / "without")
    test = prepared(describe({"test": "test"}), raw, tmp_path / "out")
    add(raw, "test", "g", seed=6, label=(1, 0))
    changed = prepared(describe({"test": "test"}), raw, tmp_path / "changed")
    assert without.content_sha256 == test.content_sha256 == changed.content_sha256
    assert test.scored_sha256 != changed.scored_sha256
    # and the other way round
    add(raw, "val", "e", seed=4, label=(1, 0))
    other = prepared(describe({"test": "test"}), raw, tmp_path / "other")
    assert other.content_sha256 != changed.content_sha256
    assert other.scored_sha256 == changed.scored_sha256


def test_of_a_config_only_what_a_training_reads_counts():
    text = "train_dataloader = dict(a=1)\ntest_dataloader = dict(ann_file='splits/{}.txt')\n"
    assert what_counts(text.format("val")) == what_counts(text.format("test"))
    assert what_counts(text.replace("a=1", "a=2")) != what_counts(text)


def test_a_split_that_was_taken_away_leaves_nothing(raw, tmp_path):
    prepared(describe({"test": "test"}), raw, tmp_path / "out")
    manifest = prepared(describe({}), raw, tmp_path / "out")
    assert set(manifest.splits) == {"train", "val"}
    assert not [*(tmp_path / "out").glob("test*"), *(tmp_path / "out").glob("splits/test*")]


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"test": "val"}, "val and test are both 'val'; they must differ"),
        ({"test": "test", "random": {}}, "set `random: {test: 0.2}` instead"),
        (
            {"test": "test", "folds": {"count": 3, "test": 0.2}},
            "`test` and `folds.test` both say what the test split is",
        ),
        ({"random": {"val": 0.5, "test": 0.5}}, "leave no images to train on"),
    ],
)
def test_splits_that_make_no_sense_are_refused(splits, said):
    with pytest.raises(ConfigError) as caught:
        describe(splits)
    assert said in str(caught.value)


def test_an_empty_test_split_is_said(raw, tmp_path):
    with pytest.raises(DataError, match="for the test split, 'testing'"):
        prepare(describe({"test": "testing"}), raw, tmp_path / "out")


def test_a_frame_in_two_lists_is_refused(raw, tmp_path):
    for split, group in (("train", "a"), ("val", "e"), ("test", "a")):
        (raw / f"{split}.txt").write_text(f"{group}__1\n")
    lists = {split: f"{split}.txt" for split in ("train", "val", "test")}
    with pytest.raises(DataError) as caught:
        prepare(describe(lists), raw, tmp_path / "out")
    assert "a__1: img/train/a/1.png (train and test)" in str(caught.value)


def test_leaks_into_it_and_classes_that_it_lacks_are_told(raw, tmp_path):
    add(raw, "test", "a", "2", seed=70, label=(0,))  # the drive `a` is trained on
    add(raw, "test", "h", seed=5, label=(0,))  # the same image as val/f
    (raw / "gt/test/g/1.png").write_bytes(png_bytes(columns(0)))
    prepared(describe({"test": "test"}), raw, tmp_path / "out")
    found = {
        warning.code: warning.examples
        for warning in check_dataset(
            tmp_path / "out/manifest.json", tmp_path / "out/frames.csv"
        ).warnings
    }
    assert found["shared-group"] == ("a",)
    assert found["duplicate-across"] == ("f__1 = h__1",)
    assert found["absent-in-test"] == ("b",)
    assert "absent-in-validation" not in found


def test_the_card_shows_all_three(raw, tmp_path):
    out = tmp_path / "out"
    manifest = prepared(describe({"test": "test"}), raw, out)
    classes = [(found.name, found.color) for found in manifest.classes]
    write_card(out / "manifest.json", out / "frames.csv", {}, classes, tmp_path)
    rows = re.findall(r"<td>(\w+)</td>\s*<td>(\d+)</td>", (tmp_path / "card.html").read_text())
    assert rows[:3] == [("training", "4"), ("validation", "2"), ("test", "1")]
