"""Instances in COCO's JSON become class ids by the stated rule, and bad ones are refused."""

import json

import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from layouts import coco_instances
from test_doctor import findings, refusal

from segbench.datasets import coco
from segbench.datasets.coco import (
    counts_from_text,
    indexed,
    paint_instances,
    polygon_area,
    read_instances,
)
from segbench.datasets.description import load_description
from segbench.datasets.findings import UnusableError
from segbench.errors import DataError

IDS = {"a": 0, "b": 1, "hidden": -1}
SIZE = (10, 14)
SQUARE = [2, 1, 6, 1, 6, 5, 2, 5]


def content(*objects, name="x.jpg", **image):
    """A file of one image with objects given as (category, segmentation)."""
    return {
        "images": [{"id": 7, "file_name": name, "height": 10, "width": 14} | image],
        "categories": [{"id": i, "name": name} for i, name in enumerate([*IDS, "unknown"])],
        "annotations": [
            {"id": i, "image_id": 7, "category_id": category, "segmentation": segmentation}
            for i, (category, segmentation) in enumerate(objects)
        ],
    }


def painted(*objects, image="img/x.jpg", **more):
    return paint_instances(indexed(content(*objects, **more)), image, IDS, 255, 10**6)


def compressed(counts: list[int]) -> str:
    """The text that pycocotools writes for counts (rleToString)."""
    text = ""
    for i, count in enumerate(counts):
        number = count - (counts[i - 2] if i > 2 else 0)
        more = True
        while more:
            bits = number & 31
            number >>= 5
            more = number != (-1 if bits & 16 else 0)
            text += chr(bits + (32 if more else 0) + ord("0"))
    return text


def test_the_text_that_pycocotools_writes_is_read():
    # mask.encode of pixel (0, 0), rows 2 to 4 of columns 3 to 8, and pixel (7, 1), by 2.0.11
    mask = np.zeros(SIZE, bool)
    mask[0, 0] = mask[7, 1] = mask[2:5, 3:9] = True
    counts = counts_from_text("01`00N2I000000000`1")
    inside = np.arange(len(counts)) % 2 == 1
    assert np.array_equal(np.repeat(inside, counts).reshape(14, 10).T, mask)


@given(st.lists(st.integers(0, 2**31), max_size=30))
def test_counts_survive_their_compression(counts):
    assert counts_from_text(compressed(counts)) == counts


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9)))
@settings(deadline=None)
def test_both_forms_of_rle_give_the_mask_back(mask):
    flat = np.concatenate([[False], mask.T.ravel(), [not mask.T.ravel()[-1]]])
    starts = np.flatnonzero(np.diff(flat))
    counts = np.diff([0, *starts, mask.size] if starts[-1] != mask.size else [0, *starts]).tolist()
    size = {"height": mask.shape[0], "width": mask.shape[1]}
    for form in (counts, compressed(counts)):
        found = painted((0, {"size": list(mask.shape), "counts": form}), **size)
        assert np.array_equal(found == 0, mask)


def test_a_polygon_has_the_pixels_whose_centres_it_covers():
    found = painted((0, [SQUARE]))
    expected = np.full(SIZE, 255, np.uint8)
    expected[1:5, 2:6] = 0
    assert np.array_equal(found, expected)


@given(arrays(np.float64, (5, 2), elements=st.floats(-20, 30).map(lambda v: round(v, 2))))
@settings(max_examples=50, deadline=None)
def test_a_polygon_is_painted_as_each_pixel_says_for_itself(corners):
    y, x = np.mgrid[:10, :14] + 0.5
    inside = np.zeros(SIZE, bool)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            # a hair's breadth to the left, so that a centre on the line is not left to rounding
            inside ^= crosses & (x0 + (y - y0) * (x1 - x0) / (y1 - y0) > x + 1e-9)
    area = polygon_area(corners, SIZE)
    found = np.zeros(SIZE, bool)
    height, width = area.mask.shape
    found[area.top : area.top + height, area.left : area.left + width] = area.mask
    # left of an odd number of crossings or right of one is the same, as a polygon is closed
    assert (found != inside).sum() <= 1


def test_smaller_objects_lie_on_larger_ones_and_equal_ones_in_order():
    whole = [[0, 0, 14, 0, 14, 10, 0, 10]]
    found = painted((0, [SQUARE]), (1, whole))
    assert (found[1:5, 2:6] == 0).all()
    assert (found == 1).sum() == 140 - 16
    assert (painted((0, [SQUARE]), (1, [SQUARE]))[1:5, 2:6] == 1).all()
    assert (painted((1, [SQUARE]), (0, [SQUARE]))[1:5, 2:6] == 0).all()


def test_the_parts_of_an_object_are_united_and_hidden_ones_left_out():
    found = painted((0, [SQUARE, [4, 3, 9, 3, 9, 8, 4, 8]]), (2, [SQUARE]))
    assert (found == 0).sum() == 16 + 25 - 4


RLE = {"size": [10, 14]}
BAD = {
    "unknown category": ((3, [SQUARE]), "unknown-polygon", r"label 'unknown'.*0\]\.category_id"),
    "missing category": ((9, [SQUARE]), "label-shape", r"category_id`: 9 is not in `categories`"),
    "box alone": ((0, []), "label-shape", "a box alone is not an area"),
    "odd": ((0, [[1, 2, 3]]), "label-shape", r"segmentation\[0\]` is not a list x0, y0"),
    "texts": ((0, [["a", "b"]]), "label-shape", "is not a list x0, y0"),
    "NaN": ((0, [[0, 0, float("nan"), 1, 5, 5]]), "label-shape", "not finite"),
    "far": ((0, [[0, 0, 1e19, 1, 5, 5]]), "label-shape", "beyond 100000000 pixels"),
    "other size": ((0, {"size": [14, 10], "counts": [140]}), "label-size",
                   r"segmentation\.size` is \[14, 10\], the image has \[10, 14\]"),
    "too short": ((0, RLE | {"counts": [3, 4]}), "label-shape", "add up to the 140 pixels"),
    "negative": ((0, RLE | {"counts": [-5, 145]}), "label-shape", "add up to the 140 pixels"),
    "cut": ((0, RLE | {"counts": "\\"}), "label-shape", "compressed RLE that was cut"),
    "no RLE": ((0, RLE | {"counts": "é"}), "label-shape", "is not a compressed RLE"),
    "endless": ((0, RLE | {"counts": "o" * 99}), "label-shape", "is not a compressed RLE"),
    "floats": ((0, RLE | {"counts": [1.5, 138.5]}), "label-shape", "list of whole numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_object_is_refused_with_its_place(name):
    bad, code, words = BAD[name]
    with pytest.raises(UnusableError, match=f"image 'x.jpg': .*{words}") as caught:
        painted(bad)
    assert caught.value.code == code


def test_images_are_found_by_the_ends_of_their_paths():
    for name in ("x.jpg", "img/x.jpg", "/data/img/x.jpg", ".\\img\\x.jpg"):
        assert (painted((0, [SQUARE]), name=name) == 0).sum() == 16
    with pytest.raises(UnusableError, match=r"no `file_name` 'img/x\.jpg'; the folders differ"):
        painted(name="other/x.jpg")
    with pytest.raises(UnusableError, match=r"no `file_name` 'img/y\.jpg'$") as caught:
        painted(image="img/y.jpg")
    assert caught.value.code == "missing-label"


@pytest.mark.parametrize("field", ["images", "annotations", "categories"])
def test_a_file_without_a_part_is_refused(field):
    without = content() | {field: None}
    with pytest.raises(UnusableError, match=f"field `{field}` is not a list"):
        indexed(without)


def test_a_file_is_read_once_for_all_of_its_images(tmp_path, monkeypatch):
    path, calls = tmp_path / "instances.json", []
    monkeypatch.setattr(coco, "indexed", lambda found: calls.append(1) or indexed(found))
    path.write_text(json.dumps(content()))
    assert read_instances(path) is read_instances(path)
    path.write_text(json.dumps(content((0, [SQUARE]))))
    assert len(read_instances(path).annotations) == 1
    path.write_text("{")
    for _ in range(2):
        with pytest.raises(DataError, match="is not valid JSON"):
            read_instances(path)
    assert len(calls) == 2


def test_a_dataset_names_the_file_and_the_image(tmp_path):
    coco_instances(tmp_path / "raw")
    description = load_description(ROOT / "config/datasets/coco_instances.yaml")
    findings(tmp_path / "raw", tmp_path, description)
    path = tmp_path / "raw/annotations/instances_val2017.json"
    found = json.loads(path.read_text())
    found["images"][0]["width"] = 15
    found["annotations"] = []
    path.write_text(json.dumps(found))
    message = refusal(tmp_path / "raw", tmp_path, description)
    assert f"{path}: 15x10, image 14x10" in message
    found["images"] = []
    path.write_text(json.dumps(found))
    message = refusal(tmp_path / "raw", tmp_path, description)
    assert f"{path}: `images` has no `file_name` 'val2017/c0002.jpg'" in message
