"""The doctor: every kind of bad input is named with its file, its count and the remedy."""

import io
import json
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from layouts import MAKERS, png_bytes
from PIL import Image
from test_prepare import CLASSES, add, describe

from segbench.datasets.check import check_dataset
from segbench.datasets.description import load_description
from segbench.datasets.findings import KINDS
from segbench.datasets.images import inspect_image
from segbench.datasets.prepare import prepare
from segbench.errors import DataError
from segbench.system.progress import Progress

FULL = np.tile(np.array([0, 1], np.uint8), (12, 8))


def findings(source: Path, tmp_path: Path, description=None) -> dict[str, str]:
    """The warnings about a dataset as text, by code."""
    prepare(description or describe(), source, tmp_path / "out")
    found = check_dataset(tmp_path / "out/manifest.json", tmp_path / "out/frames.csv")
    return {one.code: one.as_text() for one in found.warnings}


def refusal(source: Path, tmp_path: Path, description=None) -> str:
    """The message of the error that a dataset is refused with."""
    with pytest.raises(DataError) as caught:
        findings(source, tmp_path, description)
    return str(caught.value)


def label_is(source: Path, content: bytes) -> None:
    (source / "gt/train/1/a.png").write_bytes(content)


def rgb(values: np.ndarray) -> bytes:
    return png_bytes(np.stack([values] * 3, -1))


def palette_png(values: np.ndarray, colors: list[list[int]]) -> bytes:
    image, stream = Image.fromarray(values), io.BytesIO()
    image.putpalette([channel for color in colors for channel in color])
    image.save(stream, "PNG")
    return stream.getvalue()


def bomb_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        content = kind + data
        return struct.pack(">I", len(data)) + content + struct.pack(">I", zlib.crc32(content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


BAD_LABELS = {
    "empty": (b"", "unreadable-label", "make the files again"),
    "no image": (b"hello", "unreadable-label", "make the files again"),
    "cut": (png_bytes(np.random.default_rng(0).integers(0, 2, (12, 16), np.uint8))[:-40],
            "unreadable-label", "make the files again"),
    "RGB": (rgb(FULL), "not-an-index", "a RGB image .*labels.format: rgb"),
    "RGBA": (png_bytes(np.stack([FULL] * 4, -1)), "not-an-index", "a RGBA image"),
    "16 bit": (png_bytes(FULL.astype(np.uint16) * 26001), "wide-values",
               "values up to 26001.*96 of 192 pixels.*number objects"),
    "foreign value": (png_bytes(FULL + 41), "unknown-value", "no class: 41, 42; 192 of 192 pixels"),
    "0 and 255": (png_bytes(np.where(FULL == 1, 254, 0).astype(np.uint8)), "unknown-value", "254"),
    "from one": (png_bytes(FULL + 1), "unknown-value", "do the classes start at 1"),
    "palette of colours": (palette_png(FULL * 9, [[i, i, i] for i in range(10)]), "unknown-value",
                           "a palette PNG, of which the indices are read.*labels.format: rgb"),
    "another size": (png_bytes(FULL[:9]), "label-size", "16x9, image 16x12"),
    "bomb": (bomb_header(60000, 60000), "huge-label",
             "60000x60000 pixels; the limit is 178956970.*raise `max_image_pixels`"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_LABELS)
def test_a_bad_label_is_named_with_its_remedy(source, tmp_path, name):
    content, code, words = BAD_LABELS[name]
    label_is(source, content)
    message = refusal(source, tmp_path)
    assert f"{KINDS[code].problem} (1)" in message
    assert "gt/train/1/a.png: " in message
    assert f"Remedy: {KINDS[code].remedy.format()} [{code}]" in message
    assert re.search(words, message, re.DOTALL)


def cut(data: bytes) -> bytes:
    return data[:-60]


def zeroed(data: bytes) -> bytes:
    return data[: len(data) // 4] + bytes(3 * len(data) // 4)


BAD_IMAGES = {
    "empty": (lambda data: b"", "unreadable-image", "copy or download"),
    "text": (lambda data: b"<html>404</html>", "unreadable-image", "no image, or of an unknown"),
    "cut": (cut, "unreadable-image", "truncated"),
    "zeroed": (zeroed, "unreadable-image", "copy or download"),
    "bomb": (lambda data: bomb_header(60000, 60000), "huge-image", "raise `max_image_pixels`"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_bad_image_is_named_with_its_remedy(source, tmp_path, name):
    change, code, words = BAD_IMAGES[name]
    path = source / "img/train/1/a.jpg"
    path.write_bytes(change(path.read_bytes()))
    message = refusal(source, tmp_path)
    assert f"{KINDS[code].problem} (1)" in message
    assert f"{path}: " in message
    assert words in message


@pytest.mark.parametrize("quality", [{}, {"progressive": True}])
@pytest.mark.parametrize("cut_off", [3, 100, 5000, 40_000])
def test_the_reduced_decode_finds_what_a_full_one_finds(tmp_path, quality, cut_off):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels).save(path, quality=95, **quality)
    data = path.read_bytes()
    whole = inspect_image(data, 10**6)
    full = np.asarray(Image.open(path).convert("L")).mean() / 255
    assert (whole.height, whole.width) == (200, 300)
    assert whole.brightness == pytest.approx(full, abs=0.003)
    middle = len(data) // 2
    for bad in (data[:-cut_off], data[:middle] + bytes(cut_off) + data[middle + cut_off :]):
        path.write_bytes(bad)
        try:
            with Image.open(path) as image:
                image.convert("L")
        except OSError:
            with pytest.raises(DataError):
                inspect_image(bad, 10**6)
        else:
            assert inspect_image(bad, 10**6).has_hole == (cut_off >= 4096)


def test_a_hole_in_an_image_that_can_still_be_decoded_is_reported(source, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    path = source / "img/train/1/a.jpg"
    Image.fromarray(pixels).save(path, quality=95)
    label_is(source, png_bytes(np.zeros((200, 300), np.uint8)))
    data = path.read_bytes()
    path.write_bytes(data[:30_000] + bytes(5000) + data[35_000:])
    assert "a.jpg" in findings(source, tmp_path)["hole-in-image"]


def test_the_limit_of_pixels_can_be_lowered_and_raised(source, tmp_path):
    message = refusal(source, tmp_path, describe(max_image_pixels=191))
    assert "images beyond the limit of pixels (3)" in message
    assert "16x12 pixels; the limit is 191" in message
    findings(source, tmp_path, describe(max_image_pixels=192))


IDD_BAD = {
    "no JSON": (b"{", "unreadable-label", "is not valid JSON"),
    "a list": (b"[]", "label-shape", "is not a JSON mapping"),
    "no size": (b'{"objects": []}', "label-shape", "field `imgWidth`"),
    "a text as corner": (
        b'{"imgWidth": 14, "imgHeight": 10, "objects": [{"label": "road", "polygon": ["a"]}]}',
        "label-shape", r"field `objects\[0\].polygon`"),
    "a bomb": (b'{"imgWidth": 1000000, "imgHeight": 1000000, "objects": []}', "huge-label",
               "1000000x1000000 pixels; the limit is"),
    "another label": (
        b'{"imgWidth": 14, "imgHeight": 10, "objects": '
        b'[{"label": "ufo", "polygon": [[0, 0], [1, 1], [2, 0]]}]}',
        "unknown-polygon", "label 'ufo'.*ignore_labels"),
}  # fmt: skip


@pytest.mark.parametrize("name", IDD_BAD)
def test_a_bad_annotation_is_named_with_its_field(tmp_path, name):
    content, code, words = IDD_BAD[name]
    MAKERS["idd20k2"](tmp_path / "raw")
    path = tmp_path / "raw/gtFine/val/c/0002_gtFine_polygons.json"
    path.write_bytes(content)
    message = refusal(
        tmp_path / "raw", tmp_path, load_description(ROOT / "config/datasets/idd20k2.yaml")
    )
    assert f"{KINDS[code].problem} (1)" in message
    assert f"{path}: " in message
    assert re.search(words, message, re.DOTALL)


def test_a_colour_outside_the_classes_is_counted(source, tmp_path):
    colors = np.array([CLASSES[0]["color"], [7, 7, 7]], np.uint8)
    for path in source.rglob("gt/*/*/*.png"):
        path.write_bytes(png_bytes(colors[FULL * 0]))
    label_is(source, png_bytes(colors[FULL]))
    described = describe(labels={"format": "rgb", "path": "gt/{split}/{group}/{frame}.png"})
    message = refusal(source, tmp_path, described)
    assert "a.png: has colours that belong to no class: [7, 7, 7]; 96 of 192 pixels" in message
    assert "`ignore_colors`" in message


def test_values_outside_the_classes_are_counted_over_all_files(source, tmp_path):
    # 192 pixels a file: half of them 41 in one; in another a sixth 41, the rest 7
    label_is(source, png_bytes(np.where(FULL == 1, 41, 0).astype(np.uint8)))
    other = np.full_like(FULL, 7)
    other[:2] = 41
    (source / "gt/val/3/c.png").write_bytes(png_bytes(other))
    message = refusal(source, tmp_path)
    assert f"{KINDS['unknown-value'].problem} (2)" in message
    assert "In all of them: 7 (pixels: 160, files: 1), 41 (pixels: 128, files: 2)" in message


def test_all_labels_outside_the_classes_are_reported_at_once(tmp_path):
    MAKERS["idd20k2"](tmp_path / "raw")
    triangle = [[0, 0], [1, 1], [2, 0]]
    for drive, labels in (("val/c", ["ufo", "yeti", "ufo", "ufo"]), ("train/a", ["yeti", "road"])):
        objects = [{"label": label, "polygon": triangle} for label in labels]
        objects += [{"label": "elf", "polygon": triangle, "deleted": 1}]
        path = next((tmp_path / "raw/gtFine" / drive).glob("*_polygons.json"))
        path.write_text(json.dumps({"imgWidth": 14, "imgHeight": 10, "objects": objects}))
    described = load_description(ROOT / "config/datasets/idd20k2.yaml")
    message = refusal(tmp_path / "raw", tmp_path, described)
    assert "has the label 'ufo', which belongs to no class" in message
    assert "and 1 more such labels" in message
    assert "In all of them: 'ufo' (objects: 3, files: 1), 'yeti' (objects: 2, files: 2)" in message
    assert "elf" not in message


def test_labels_without_an_image_are_reported(source, tmp_path):
    (source / "img/train/1/a.jpg").unlink()
    (source / "gt/train/2/b_inst.png").write_bytes(png_bytes(FULL))  # belongs to frame b
    told = findings(source, tmp_path)["orphan-label"]
    assert "labels without an image (1)" in told
    assert "gt/train/1/a.png" in told
    assert "add the missing images" in told


def test_images_of_a_suffix_that_is_not_named_are_reported(source, tmp_path):
    for suffix in ("JPG", "jpeg", "bmp"):
        (source / f"img/train/1/x.{suffix}").write_bytes(b"")
    (source / "img/train/1/readme.md").touch()
    (source / "img/train/1/a.webp").touch()  # another form of a frame that is known
    told = findings(source, tmp_path)["unmatched-image"]
    assert "because of their suffix (3)" in told
    assert "img/train/1/x.JPG" in told
    assert "{ext:jpg|png}" in told


def test_a_frame_in_both_lists_is_an_error(source, tmp_path):
    lists = {"train": "train.txt", "val": "val.txt"}
    (source / "train.txt").write_text("1__a\n2__b\n2__b\n")
    (source / "val.txt").write_text("3__c\nimg/train/2/b.jpg\n")
    message = refusal(source, tmp_path, describe(splits=lists))
    assert (
        "frames that two list files name (1)\n    2__b: img/train/2/b.jpg (train and val)"
        in message
    )
    assert "remove them from one of the two lists" in message
    (source / "val.txt").write_text("3__c\n")
    told = findings(source, tmp_path, describe(splits=lists))
    assert "train.txt: 2__b" in told["listed-twice"]


def test_identical_images_are_distinguished_by_where_they_are(source, tmp_path):
    same = (source / "img/train/1/a.jpg").read_bytes()
    for split, group, frame, label in (("train", "1", "b", FULL), ("val", "4", "d", FULL * 0)):
        add(source, split, group, frame, label).write_bytes(same)
    told = findings(source, tmp_path)
    assert "(1)\n    1__a = 1__b = 4__d" in told["duplicate-across"]
    assert "1__a = 1__b = 4__d" in told["contradicting-labels"]
    assert "duplicate-within" not in told
    (source / "img/val/4/d.jpg").write_bytes((source / "img/val/3/c.jpg").read_bytes())
    told = findings(source, tmp_path)
    assert (
        "identical images within one split (2)\n    1__a = 1__b\n    3__c = 4__d"
        in told["duplicate-within"]
    )
    assert "3__c = 4__d" in told["contradicting-labels"]


THREE = [*CLASSES, {"name": "tree", "color": [3, 200, 3]}]


def with_labels(source: Path, label: np.ndarray) -> None:
    for path in source.rglob("gt/*/*/*.png"):
        path.write_bytes(png_bytes(label))


def test_labels_that_start_at_one_are_recognised_without_the_last_class(source, tmp_path):
    with_labels(source, FULL + 1)  # 1 and 2 of three classes: no value is outside
    told = findings(source, tmp_path, describe(classes={"classes": THREE}))["starts-at-one"]
    assert "the first class, value 0, never occurs though other classes do (1)\n    ground" in told
    assert "`ignore_values: [0, 255]`" in told


def test_labels_that_were_shifted_down_are_recognised(source, tmp_path):
    """What was 0, 1, 2 became 255, 0, 1."""
    shifted = np.tile(np.array([255, 0, 1, 1], np.uint8), (12, 4))
    with_labels(source, shifted)
    told = findings(source, tmp_path, describe(classes={"classes": THREE}))["shifted-down"]
    assert "tree never, void in 25.0 % of the pixels" in told
    assert "reduce_zero_label" in told


def test_a_class_named_as_void_is_reported(source, tmp_path):
    named = [{"name": "Unlabelled", "color": [0, 0, 0]}, CLASSES[1]]
    told = findings(source, tmp_path, describe(classes={"classes": named}))["void-class"]
    assert "Unlabelled" in told
    assert "`ignore_values`" in told


def test_a_palette_that_contradicts_the_indices_is_reported(source, tmp_path):
    label_is(source, palette_png(FULL, [CLASSES[1]["color"], CLASSES[0]["color"]]))
    told = findings(source, tmp_path)["palette-colors"]
    assert "a.png: index 0 is read as 'ground' but has the colour of 'sky'" in told
    label_is(source, palette_png(FULL, [CLASSES[0]["color"], CLASSES[1]["color"]]))
    assert "palette-colors" not in findings(source, tmp_path)


def test_a_rare_class_is_reported_with_its_share(source, tmp_path):
    big = np.zeros((120, 160), np.uint8)
    big[0, 0] = 1
    for group, frame in (("1", "a"), ("2", "b")):
        write_path = source / f"img/train/{group}/{frame}.jpg"
        Image.new("RGB", (160, 120)).save(write_path)
        (source / f"gt/train/{group}/{frame}.png").write_bytes(png_bytes(big))
    told = findings(source, tmp_path)["rare-class"]
    assert "classes below 0.05 % of the training pixels (1)\n    sky: 0.005 %" in told
    assert "class_weights: median_frequency" in told


def test_ready_layouts_raise_no_false_alarm(tmp_path):
    """Files that a real release has beside images and labels belong to their frames."""
    strays = {"orphan-label", "unmatched-image", "palette-colors", "hole-in-image"}
    for name, maker in MAKERS.items():
        maker(tmp_path / name)
        found = findings(
            tmp_path / name, tmp_path, load_description(ROOT / f"config/datasets/{name}.yaml")
        )
        assert strays & found.keys() == set(), name


def test_progress_is_seen(source, tmp_path, caplog):
    caplog.set_level("INFO")
    findings(source, tmp_path)
    assert "prepare [====================] 3/3 images" in caplog.text
    assert "check small [====================]" in caplog.text
    assert Progress("x", 4, "images").line(1.0).startswith("x [>")


def test_the_documentation_lists_every_kind_of_finding():
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \|", (ROOT / "docs/checks.md").read_text(), re.M)
    assert dict(rows) == {code: kind.level for code, kind in KINDS.items()}
    assert len(rows) == len(KINDS)
