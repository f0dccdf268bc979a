"""What of a dataset counts: not how its classes are shown, and not when its files were touched."""

import json
import os

import pytest

from segbench.datasets.description import DatasetDescription
from segbench.datasets.meaning import what_counts, what_is_shown
from segbench.datasets.source_files import files_that_count
from segbench.system.contents import listing_as_read, listing_of, stamps_of, write_contents
from segbench.system.provenance import run_digest

CLASSES = [
    {"name": "road", "color": [1, 1, 1], "labels": ["street"]},
    {"name": "car", "color": [2, 2, 2], "labels": ["taxi"]},
]


def described(format="index", classes=CLASSES, **labels) -> DatasetDescription:
    return DatasetDescription.model_validate(
        {
            "name": "roads",
            "source": "raw",
            "images": "{split}/{frame}.jpg",
            "labels": {"format": format, "path": "{split}/{frame}.png"} | labels,
            "classes": {"classes": classes},
        }
    )


def with_first(**changes) -> list[dict]:
    return [CLASSES[0] | changes, CLASSES[1]]


@pytest.mark.parametrize("format", ["index", "polygons", "labelme"])
@pytest.mark.parametrize("change", [{"name": "lane"}, {"color": [9, 9, 9]}])
def test_names_and_colours_of_classes_do_not_count(format, change):
    before, after = described(format), described(format, with_first(**change))
    assert what_counts(before) == what_counts(after)
    assert what_is_shown(before) != what_is_shown(after)


def test_colours_count_where_labels_are_read_by_them():
    recoloured = described("rgb", with_first(color=[9, 9, 9]))
    assert what_counts(described("rgb")) != what_counts(recoloured)
    # said twice, the colours that belong to a class are the same
    explicit = with_first(color=[9, 9, 9], colors=[[1, 1, 1]])
    assert what_counts(described("rgb")) == what_counts(described("rgb", explicit))


@pytest.mark.parametrize(
    "classes",
    [CLASSES[::-1], [*CLASSES, {"name": "sky", "color": [3, 3, 3]}], with_first(labels=["lane"])],
    ids=["order", "number", "labels"],
)
def test_order_number_and_what_belongs_to_classes_count(classes):
    assert what_counts(described("polygons")) != what_counts(described("polygons", classes))


def test_the_background_is_a_class_by_its_place_not_by_its_name():
    before = described("polygons", background="road")
    renamed = described("polygons", with_first(name="lane"), background="lane")
    assert what_counts(before) == what_counts(renamed)
    assert what_counts(before) != what_counts(described("polygons", background="car"))


def test_a_training_is_the_same_whatever_its_classes_are_called(tmp_path):
    (tmp_path / "manifest.json").write_text(json.dumps({"form": 1, "content_sha256": "0"}))

    def digest(config: str) -> str:
        (tmp_path / "config.py").write_text(config)
        return run_digest(tmp_path / "config.py", tmp_path / "manifest.json", "code", None)

    config = "d = dict(metainfo=dict(classes=['road'], palette=[[1, 1, 1]]), size={})\n"
    assert digest(config.format(1)) == digest(config.format(1).replace("road", "lane"))
    assert digest(config.format(1)) == digest(config.format(1).replace("[1, 1, 1]", "[2, 1, 1]"))
    assert digest(config.format(1)) != digest(config.format(2))


def test_files_that_no_pattern_matches_do_not_count(tmp_path):
    for name in ("train/1.jpg", "train/1.png", "train/2.bmp", "train/1.txt", "notes.md",
                 "val.txt", "deep/train/1.jpg"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    # an image of another suffix is warned of
    counting = ["train/1.jpg", "train/1.png", "train/2.bmp"]
    assert list(files_that_count(described(), tmp_path)) == counting
    content = described().model_dump(mode="json", exclude={"about"})
    content["splits"] = {"train": "train.txt", "val": "val.txt"}
    by_list = DatasetDescription.model_validate(content)
    assert set(files_that_count(by_list, tmp_path)) == {*counting, "val.txt"}


def test_what_changed_shortly_before_it_was_read_is_not_noted(tmp_path):
    (tmp_path / "a").write_text("content")
    stamps = stamps_of(tmp_path, ["a"])
    now = stamps["a"][1]
    for at, noted in ((now + 10**9, False), (now + 3 * 10**9, True)):
        write_contents(tmp_path / "note", "as planned", tmp_path, stamps, {}, at)
        assert (tmp_path / "note").exists() == noted
    os.utime(tmp_path / "a", ns=(now, now + 1))
    touched = stamps_of(tmp_path, ["a"])
    assert listing_as_read(tmp_path / "note", tmp_path, touched) == "as planned"
    (tmp_path / "a").write_text("CONTENT")
    changed = stamps_of(tmp_path, ["a"])
    assert listing_as_read(tmp_path / "note", tmp_path, changed) == listing_of(changed)
    write_contents(tmp_path / "note", "as planned", tmp_path, stamps, {}, now + 3 * 10**9)
    assert not (tmp_path / "note").exists()
