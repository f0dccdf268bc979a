"""What real data holds that clean data does not: it is read, told, or refused with a remedy."""

import errno
import io
import os
import re
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from layouts import camvid, columns, png_bytes
from PIL import Image
from test_doctor import findings, refusal
from test_prepare import add, describe

from segbench.datasets.archives import unpack
from segbench.datasets.colors import UNCLAIMED, ColorTable
from segbench.datasets.description import DatasetDescription, load_description
from segbench.datasets.findings import UnusableError
from segbench.datasets.images import inspect_image
from segbench.datasets.labels import LabelReader
from segbench.datasets.polygons import paint_labelme, paint_polygons
from segbench.datasets.prepare import prepare
from segbench.errors import ConfigError, DataError


def test_a_value_after_the_last_class_is_void_where_0_occurs():
    reader = LabelReader(describe())
    with pytest.raises(DataError, match=r"no class: 2 \(is 2 void here\? .*`ignore_values`\)"):
        reader.read(png_bytes(columns(0, 1, 2)))
    with pytest.raises(DataError, match=r"no class: 2 \(do the classes start at 1 here"):
        reader.read(png_bytes(columns(1, 2)))


def test_labels_of_16_bits_are_read_where_the_values_fit():
    reader = LabelReader(describe())
    label = columns(0, 1, 255)
    assert np.array_equal(reader.read(png_bytes(label.astype(np.uint16))), label)
    with pytest.raises(DataError, match="values up to 26001, and class values go up to 255"):
        reader.read(png_bytes(label.astype(np.uint16) + 25746))


def test_an_array_of_numpy_is_refused_by_its_form(source, tmp_path):
    stream = io.BytesIO()
    np.save(stream, np.zeros((12, 16), np.uint8))
    (source / "img/train/1/a.jpg").write_bytes(stream.getvalue())
    (source / "gt/val/3/c.png").write_bytes(stream.getvalue())
    message = refusal(source, tmp_path)
    assert "a.jpg: is a NumPy array (.npy), which is not read (read: JPEG, PNG" in message
    assert "c.png: is a NumPy array (.npy), which is not read" in message
    assert "convert the files to PNG or JPEG" in message
    assert "download" not in message


def test_a_dataset_of_one_image_gets_no_advice_about_groups(tmp_path):
    add(tmp_path / "source", "train", "1", "a")
    flat = {
        "images": "img/train/1/{frame}.jpg",
        "labels": {"format": "index", "path": "gt/train/1/{frame}.png"},
        "splits": {"random": {"val": 0.2}},
    }
    message = refusal(tmp_path / "source", tmp_path, describe(**flat))
    assert "1 images in 1 group cannot fill two splits. Add images, or name a split" in message


def listed(source: Path, train: str, val: str = "c") -> DatasetDescription:
    (source / "train.txt").write_text(train)
    (source / "val.txt").write_text(val)
    return describe(splits={"train": "train.txt", "val": "val.txt"})


@pytest.mark.parametrize("root", ["/SegNet/CamVid/", "SegNet/CamVid/", "./CamVid/"])
def test_a_list_that_begins_at_another_root_is_matched_by_the_ends_of_its_paths(
    source, tmp_path, root, caplog
):
    caplog.set_level("INFO")
    lines = [f"{root}img/train/{n}.jpg {root}gt/train/{n}.png" for n in ("1/a", "2/b")]
    prepare(listed(source, "\n".join(lines)), source, tmp_path / "out")
    assert (tmp_path / "out/splits/train.txt").read_text().split() == ["1__a", "2__b"]
    assert "img/train/1/a.jpg is img/train/1/a.jpg" in caplog.text


def test_a_list_that_begins_below_the_root_is_matched_too(source, tmp_path):
    prepare(listed(source, "train/1/a.jpg\n2/b"), source, tmp_path / "out")
    assert (tmp_path / "out/splits/train.txt").read_text().split() == ["1__a", "2__b"]


def test_a_list_with_folders_that_differ_is_refused_with_an_example(source, tmp_path):
    message = refusal(source, tmp_path, listed(source, "old/train/a.jpg\nb"))
    assert "1 of 2 listed frames have no image" in message
    assert "The folders differ: 'old/train/a.jpg' is listed, and there is img/train/1/a" in message


def test_an_end_that_several_images_have_is_not_guessed(source, tmp_path):
    for group in ("1", "2"):
        add(source, "train", group, "x")
    assert "names both" in refusal(source, tmp_path, listed(source, "1/x\nx.jpg"))


def archive_of(path: Path, *names: str, kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.type = kind
            archive.addfile(info, io.BytesIO())
    return path


def test_an_archive_with_a_file_twice_is_named(tmp_path):
    archive = archive_of(tmp_path / "a.tar.gz", "x", "x")
    with pytest.raises(DataError, match=r"a\.tar\.gz: 'x' is in the archive twice.*yourself"):
        unpack(archive, tmp_path / "out")


def test_a_name_that_is_too_long_is_not_called_damage(tmp_path):
    archive = archive_of(tmp_path / "a.tar.gz", "x" * 300)
    with pytest.raises(DataError, match=r"a\.tar\.gz: holds a name that is longer") as caught:
        unpack(archive, tmp_path / "out")
    assert "ownload" not in str(caught.value)
    assert errno.errorcode[errno.ENAMETOOLONG] not in str(caught.value)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
def test_an_archive_of_endless_entries_is_refused_up_to_a_limit(tmp_path, kind):
    archive = archive_of(tmp_path / "a.tar.gz", *map(str, range(20)), kind=kind)
    with pytest.raises(DataError, match=r"a\.tar\.gz: holds more than 19 entries.*`max_files`"):
        unpack(archive, tmp_path / "out", max_files=19)
    assert not (tmp_path / "out").exists()
    unpack(archive, tmp_path / "out", max_files=20)


def test_a_cut_label_is_refused_wherever_it_is_cut():
    reader = LabelReader(describe())
    data = png_bytes(np.random.default_rng(0).integers(0, 2, (9, 11), dtype=np.uint8))
    reader.read(data)
    for length in range(len(data)):
        with pytest.raises(DataError):
            reader.read(data[:length])


def deep(form: str, gray: bool) -> tuple[bytes, np.ndarray]:
    """An image of 16 bits per channel in a form, and its pixels, [height, width(, channels)]."""
    shape = (12, 16) if gray else (12, 16, 3)
    pixels = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)
    return cv2.imencode(f".{form}", pixels)[1].tobytes(), pixels


@pytest.mark.parametrize(
    ("form", "gray"),
    [("png", False), ("png", True), ("tiff", False), ("tiff", True), ("ppm", False), ("pgm", True)],
)
def test_images_of_16_bits_are_reported_and_measured_as_opencv_reads_them(form, gray):
    content, pixels = deep(form, gray)
    found = inspect_image(content, 10**6)
    assert found.bits == 16
    assert found.brightness == pytest.approx(pixels.mean() / 65535, abs=0.02)
    read = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    upper = (pixels >> 8).reshape(*pixels.shape[:2], -1)
    assert np.abs(read.astype(int) - upper).max() <= 1


def test_an_image_of_8_bits_gives_no_warning(source, tmp_path):
    told = findings(source, tmp_path)
    assert "deep-image" not in told
    (source / "img/train/1/a.jpg").write_bytes(deep("png", gray=False)[0])
    assert "a.jpg: 16 bits" in findings(source, tmp_path)["deep-image"]


def test_an_image_of_floats_is_refused(source, tmp_path):
    floats = cv2.imencode(".tiff", np.full((12, 16), 0.5, np.float32))[1].tobytes()
    (source / "img/train/1/a.jpg").write_bytes(floats)
    assert "a.jpg: has 32 bits per channel, which OpenCV does not" in refusal(source, tmp_path)


def test_an_image_of_one_pixel_is_refused_by_its_name(source, tmp_path):
    Image.new("RGB", (1, 1)).save(source / "img/train/1/a.jpg")
    (source / "gt/train/1/a.png").write_bytes(png_bytes(np.zeros((1, 1), np.uint8)))
    assert "img/train/1/a.jpg: 1x1 pixels" in refusal(source, tmp_path)


def test_images_of_a_split_that_is_not_used_are_counted(tmp_path, caplog):
    caplog.set_level("INFO")
    camvid(tmp_path / "raw")
    text = (ROOT / "config/datasets/camvid.yaml").read_text().replace("splits: {test: test}", "")
    text = text.replace("../classes", str(ROOT / "config/classes"))
    (tmp_path / "without.yaml").write_text(text)
    prepare(load_description(tmp_path / "without.yaml"), tmp_path / "raw", tmp_path / "out")
    assert caplog.text.count("in no split here, by the value of {split}: 1 of 'test'") == 1


def test_a_label_without_an_image_may_have_any_name(source, tmp_path):
    name = os.fsencode(source / "gt/train/1") + b"/caf\xe9.png"
    Path(os.fsdecode(name)).write_bytes(png_bytes(columns(0)))
    assert "caf\\udce9.png" in findings(source, tmp_path)["orphan-label"]


def test_a_name_of_broken_unicode_in_json_is_refused_as_a_label(tmp_path, source):
    outline = '[{"label": "\\ud800", "polygon": [[0,0],[5,0],[5,5]]}]'
    text = f'{{"imgWidth": 16, "imgHeight": 12, "objects": {outline}}}'
    for path in source.glob("gt/*/*/*.png"):
        path.with_suffix(".json").write_text(text)
    description = describe(
        labels={"format": "polygons", "path": "gt/{split}/{group}/{frame}.json"},
        classes={"classes": [{"name": "a", "color": [0, 0, 0], "labels": ["a"]},
                             {"name": "b", "color": [0, 0, 1]}]},
    )  # fmt: skip
    assert "has the label '\\ud800', which belongs to no class" in refusal(
        source, tmp_path, description
    )


HUGE = [2**31, 1e9, 1e19, 1e300, float("nan"), float("inf")]


@pytest.mark.parametrize("value", HUGE)
@pytest.mark.parametrize("kind", ["polygon", "circle", "rectangle"])
def test_a_coordinate_that_cannot_be_painted_is_refused_with_its_object(value, kind):
    points = [[0, 0], [value, 3], [0, 3]]
    polygons = {"imgWidth": 5, "imgHeight": 5, "objects": [{"label": "a", "polygon": points}]}
    shapes = [{"label": "a", "shape_type": kind, "points": points[: 3 if kind == "polygon" else 2]}]
    labelme = {"imageWidth": 5, "imageHeight": 5, "shapes": shapes}
    with pytest.raises(UnusableError, match=r"`objects\[0\]\.polygon` has a coordinate"):
        paint_polygons(polygons, {"a": 0}, 255)
    with pytest.raises(UnusableError, match=r"`shapes\[0\]\.points` has a coordinate"):
        paint_labelme(labelme, {"a": 0}, 255)


RED, BLUE = [200, 0, 0], [0, 0, 200]


def colored(**labels) -> DatasetDescription:
    listed = [{"name": "red", "color": RED}, {"name": "blue", "color": BLUE}]
    return describe(
        labels={"format": "rgb", "path": "gt/{split}/{group}/{frame}.png"} | labels,
        classes={"classes": listed, "ignore_colors": [[0, 0, 0]]},
    )


def pixels(*colors: list[int]) -> bytes:
    return png_bytes(np.array([colors], np.uint8))


def test_a_colour_within_the_tolerance_is_taken_for_the_nearest():
    read = LabelReader(colored(tolerance=5)).read_counted(
        pixels(RED, [203, 4, 0], [0, 0, 195], [3, 0, 4])
    )
    assert read.ids.tolist() == [[0, 0, 1, 255]]
    assert read.changed == 3
    assert read.pixels.tolist() == [2, 1, 1]


@pytest.mark.parametrize(
    ("tolerance", "color"), [(5, [204, 4, 0]), (300, [100, 0, 100]), (0, [201, 0, 0])]
)
def test_a_colour_beyond_the_tolerance_or_between_two_classes_is_refused(tolerance, color):
    wanted = "belong to no class.*" + re.escape(str(color)) + "; 1 of 2 pixels"
    with pytest.raises(DataError, match=wanted):
        LabelReader(colored(tolerance=tolerance)).read(pixels(RED, color))


@given(arrays(np.uint8, (7, 9, 3)), st.integers(1, 442))
@settings(max_examples=30, deadline=None)
def test_the_nearest_colour_is_the_one_that_every_distance_says(image, tolerance):
    known = np.array([RED, BLUE, [0, 0, 0]])
    ids = np.array([0, 1, 255])
    squares = ((image[..., None, :].astype(int) - known) ** 2).sum(-1)
    least = squares.min(-1)
    alone = (squares == least[..., None]).sum(-1) == 1
    expected = np.where(alone & (least <= tolerance**2), ids[squares.argmin(-1)], UNCLAIMED)
    codes = image.astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)
    found, changed = ColorTable(colored().classes.id_of_color(), tolerance).ids_of(codes)
    assert np.array_equal(found, expected)
    assert changed == ((least > 0) & (expected != UNCLAIMED)).sum()


def test_the_share_of_changed_pixels_is_reported(source, tmp_path):
    label = np.full((12, 16, 3), RED, np.uint8)
    label[:6] = BLUE
    for path in source.glob("gt/*/*/*.png"):
        path.write_bytes(png_bytes(label))
    label[0, :3] = [0, 0, 201]
    (source / "gt/train/1/a.png").write_bytes(png_bytes(label))
    label[0, :9] = [1, 0, 200]
    (source / "gt/train/2/b.png").write_bytes(png_bytes(label))
    told = findings(source, tmp_path, colored(tolerance=10))["nearest-color"]
    assert "a.png: 1.56 % of the pixels changed" in told
    assert "In all of them: 3.12 % of the pixels changed" in told
    assert "belong to no class: [1, 0, 200]" in refusal(source, tmp_path, colored())


def test_a_tolerance_belongs_to_colours():
    with pytest.raises(ConfigError, match=r"`labels\.tolerance` belongs to the format rgb"):
        colored(format="index", tolerance=3)
