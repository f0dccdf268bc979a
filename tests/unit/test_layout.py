"""Images and labels are paired by patterns."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segbench.datasets.layout import find_frames, pattern_problem


def frames(root: Path, paths: list[str], images: str, labels: str):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return list(find_frames(root, images, labels))


def test_frames_of_drives_keep_their_drive_in_the_name(tmp_path):
    found = frames(
        tmp_path,
        ["img/train/7/a_image.jpg", "img/train/9/a_image.jpg", "img/val/7/b_image.jpg"],
        "img/{split}/{group}/{frame}_image.jpg",
        "gt/{split}/{group}/{frame}_label.png",
    )
    assert [frame.name for frame in found] == ["7__a", "9__a", "7__b"]
    assert [frame.split for frame in found] == ["train", "train", "val"]
    assert found[1].labels == ("gt/train/9/a_label.png",)


def test_alternatives_match_either_suffix(tmp_path):
    found = frames(
        tmp_path,
        ["train/a.jpg", "train/b.png", "train/c.gif"],
        "{split}/{frame}.{ext:jpg|png}",
        "{split}/{frame}_gt.{ext:png|bmp}",
    )
    assert [frame.image for frame in found] == ["train/a.jpg", "train/b.png"]
    # the label's suffix is its own choice, not the image's
    assert found[0].labels == ("train/a_gt.png", "train/a_gt.bmp")


def test_a_wildcard_does_not_reach_over_folders(tmp_path):
    found = frames(tmp_path, ["train/x/y.jpg"], "{split}/{frame}.jpg", "{split}/{frame}.png")
    assert found == []


def test_dots_in_a_pattern_are_only_dots(tmp_path):
    assert frames(tmp_path, ["train/axjpg"], "{split}/{frame}.jpg", "{split}/{frame}.png") == []


def test_a_wildcard_that_comes_twice_must_agree(tmp_path):
    found = frames(
        tmp_path,
        ["train/3/3_a.jpg", "train/3/4_b.jpg"],
        "{split}/{group}/{group}_{frame}.jpg",
        "{split}/{frame}.png",
    )
    assert [frame.name for frame in found] == ["3__a"]


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("{split}/{drive}/{frame}.jpg", "unknown wildcard '{drive}'"),
        ("train/{frame}.jpg", "no wildcard '{split}'"),
        ("{split}/image.jpg", "no wildcard '{frame}'"),
        ("{split}/{frame}.{jpg", "unbalanced brace"),
        ("/{split}/{frame}.jpg", "relative"),
        ("../{split}/{frame}.jpg", "relative"),
    ],
)
def test_a_wrong_pattern_is_explained(pattern, problem):
    assert problem in (pattern_problem(pattern) or "")


@given(st.text("ab_.-", min_size=1, max_size=6).filter(lambda t: t.strip(".")))
def test_any_frame_name_is_found_again(name):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = frames(Path(folder), [f"train/{name}_i.jpg"], "{split}/{frame}_i.jpg",
                       "{split}/{frame}_l.png")  # fmt: skip
    assert [frame.labels for frame in found] == [(f"train/{name}_l.png",)]


def test_a_frame_named_like_a_wildcard_keeps_its_name(tmp_path):
    found = frames(tmp_path, ["train/{x}.jpg"], "{split}/{frame}.jpg", "{split}/{frame}.png")
    assert found[0].labels == ("train/{x}.png",)
