"""Files that are as they were are not read again, and what comes out is as if they were."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from layouts import idd20k2
from PIL import Image
from test_prepare import CLASSES, add, describe

from segbench.datasets import cache as reuse
from segbench.datasets.description import load_description
from segbench.datasets.prepare import prepare
from segbench.errors import DataError
from segbench.system.progress import Progress

OPENED: list[str] = []
sys.addaudithook(
    lambda event, arguments: OPENED.append(str(arguments[0])) if event == "open" else None
)


def age(root: Path) -> None:
    """Make all files look as if they had been there for long."""
    for path in root.rglob("*.*"):
        os.utime(path, (10**9, 10**9))


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "source"
    for split, group, frame in [("train", "1", "a"), ("train", "2", "b"), ("val", "3", "a")]:
        add(root, split, group, frame)
    age(root)
    return root


def opened_by_preparing(source: Path, tmp_path: Path, description=None) -> set[str]:
    """Prepare again as Snakemake does, with the cache; which source files were opened."""
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    OPENED.clear()
    prepare(description or describe(), source, tmp_path / "out", cache=tmp_path / "cache")
    found = {path for path in OPENED if path.startswith(str(source))}
    return {Path(path).relative_to(source).as_posix() for path in found}


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


def same_as_a_fresh_one(source: Path, tmp_path: Path, description=None) -> bool:
    prepare(description or describe(), source, tmp_path / "fresh")
    return content(tmp_path / "out") == content(tmp_path / "fresh")


def test_unchanged_files_are_not_opened(source, tmp_path):
    assert len(opened_by_preparing(source, tmp_path)) == 6
    assert opened_by_preparing(source, tmp_path) == set()
    assert same_as_a_fresh_one(source, tmp_path)


def test_only_what_was_added_or_changed_is_opened(source, tmp_path):
    opened_by_preparing(source, tmp_path)
    add(source, "val", "3", "new")
    add(source, "train", "2", "b", np.ones((12, 16), np.uint8))  # the image is written again too
    assert opened_by_preparing(source, tmp_path) == {
        "img/val/3/new.jpg", "gt/val/3/new.png", "img/train/2/b.jpg", "gt/train/2/b.png",
    }  # fmt: skip
    assert same_as_a_fresh_one(source, tmp_path)


def test_a_label_of_the_same_size_and_time_is_recognised_by_its_inode(source, tmp_path):
    opened_by_preparing(source, tmp_path)
    label = source / "gt/val/3/a.png"
    before = label.stat()
    data = bytearray(label.read_bytes())
    other = label.with_suffix(".new")
    other.write_bytes(data)
    os.utime(other, ns=(before.st_mtime_ns, before.st_mtime_ns))
    other.replace(label)
    assert "gt/val/3/a.png" in opened_by_preparing(source, tmp_path)


def test_files_that_are_still_being_written_are_not_trusted(source, tmp_path):
    add(source, "val", "3", "a")  # its time stamp is of this very moment
    opened_by_preparing(source, tmp_path)
    assert opened_by_preparing(source, tmp_path) == {"img/val/3/a.jpg", "gt/val/3/a.png"}


def test_other_classes_read_everything_again(source, tmp_path):
    opened_by_preparing(source, tmp_path)
    turned = [CLASSES[0] | {"values": [1]}, CLASSES[1] | {"values": [0]}]
    other = describe(classes={"classes": turned})
    assert len(opened_by_preparing(source, tmp_path, other)) == 6
    assert same_as_a_fresh_one(source, tmp_path, other)
    assert len(list((tmp_path / "cache").iterdir())) == 1  # the former way is forgotten


def test_another_limit_reads_everything_again(source, tmp_path):
    opened_by_preparing(source, tmp_path)
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(DataError, match="16x12 pixels; the limit is 100"):
        opened_by_preparing(source, tmp_path, describe(max_image_pixels=100))


def test_other_code_reads_everything_again(source, tmp_path, monkeypatch):
    opened_by_preparing(source, tmp_path)
    monkeypatch.setattr(reuse, "code_digest", lambda path: "another")
    assert len(opened_by_preparing(source, tmp_path)) == 6


def test_another_split_reads_nothing(source, tmp_path):
    opened_by_preparing(source, tmp_path)
    drawn = describe(splits={"random": {"val": 0.4}})
    assert opened_by_preparing(source, tmp_path, drawn) == set()
    assert same_as_a_fresh_one(source, tmp_path, drawn)


def test_a_kept_label_that_was_tampered_with_is_made_again(source, tmp_path):
    opened_by_preparing(source, tmp_path)
    for path in (tmp_path / "cache").rglob("*.png"):
        Image.new("L", (16, 12)).save(path)
    assert len(opened_by_preparing(source, tmp_path)) == 6
    assert same_as_a_fresh_one(source, tmp_path)


def test_a_damaged_entry_is_ignored(source, tmp_path):
    opened_by_preparing(source, tmp_path)
    for damaged, path in zip(
        ("{", "[]", "null"), (tmp_path / "cache").rglob("*.json"), strict=True
    ):
        path.write_text(damaged)
    assert len(opened_by_preparing(source, tmp_path)) == 6
    assert same_as_a_fresh_one(source, tmp_path)


def test_what_is_gone_is_forgotten(source, tmp_path):
    opened_by_preparing(source, tmp_path)
    (source / "img/train/1/a.jpg").unlink()
    opened_by_preparing(source, tmp_path)
    assert len(list((tmp_path / "cache").rglob("*.png"))) == 2


def test_sound_files_are_not_read_again_when_the_others_are_mended(source, tmp_path):
    label = source / "gt/val/3/a.png"
    good = label.read_bytes()
    label.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"gt/val/3/a\.png"):
        opened_by_preparing(source, tmp_path)
    label.write_bytes(good)
    assert opened_by_preparing(source, tmp_path) == {"img/val/3/a.jpg", "gt/val/3/a.png"}
    assert same_as_a_fresh_one(source, tmp_path)


def test_an_interrupted_preparation_keeps_what_it_had_done(source, tmp_path, monkeypatch):
    def interrupt(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "step", interrupt)  # after the first frame
        with pytest.raises(KeyboardInterrupt):
            opened_by_preparing(source, tmp_path)
    assert len(opened_by_preparing(source, tmp_path)) == 4
    assert same_as_a_fresh_one(source, tmp_path)


def test_several_processes_take_over_the_same(tmp_path):
    idd20k2(tmp_path / "source")
    age(tmp_path / "source")
    description = load_description(ROOT / "config/datasets/idd20k2.yaml")
    for workers in (2, 1):
        prepare(description, tmp_path / "source", tmp_path / "out", workers, tmp_path / "cache")
    assert same_as_a_fresh_one(tmp_path / "source", tmp_path, description)
