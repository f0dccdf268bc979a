"""Files that attack or mislead are refused, each with its name and a reason."""

import io
import os
import struct
import time

import numpy as np
import pytest
from PIL import Image

from segbench.datasets.description import DatasetDescription
from segbench.datasets.findings import UnusableError
from segbench.datasets.images import FORMATS, inspect_image
from segbench.datasets.labels import LabelReader
from segbench.datasets.layout import files_below
from segbench.datasets.polygons import paint_labelme, paint_polygons
from segbench.errors import DataError

IMAGE = Image.fromarray(np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3))


def saved(form: str, image: Image.Image = IMAGE) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["EPS", "PCX", "TGA", "SGI", "DDS", "DIB", "QOI", "IM", "SPIDER"])
def test_a_form_that_is_not_promised_is_refused_whatever_its_name(form):
    image = IMAGE.convert("F") if form == "SPIDER" else IMAGE
    with pytest.raises(UnusableError, match=r"of an unknown form \(known: JPEG") as caught:
        inspect_image(saved(form, image), 10**6)
    assert caught.value.code == "unreadable-image"


@pytest.mark.parametrize("form", FORMATS)
def test_what_passes_can_be_read_by_opencv(form):
    import cv2

    data = saved(form)
    assert inspect_image(data, 10**6)[:2] == (24, 32)
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (24, 32, 3)


def tiff(bands: int, *extra: int, height: int = 9, width: int = 11) -> bytes:
    """A TIFF of several bands, byte by byte as its specification has it."""
    pixels = bytes(range(height * width)) * bands
    tags = [
        (256, 3, [width]), (257, 3, [height]), (258, 3, [8] * bands), (259, 3, [1]),
        (262, 3, [2 if bands > 2 else 1]), (273, 4, [8]), (277, 3, [bands]), (278, 3, [height]),
        (279, 4, [len(pixels)]), *([(338, 3, list(extra))] if extra else []),
    ]  # fmt: skip
    start = 8 + len(pixels)
    later, entries = start + 2 + 12 * len(tags) + 4, b""
    apart = b""
    for number, kind, values in tags:
        content = b"".join(one.to_bytes(2 if kind == 3 else 4, "little") for one in values)
        if len(content) > 4:
            place = (later + len(apart)).to_bytes(4, "little")
            apart, content = apart + content, place
        entries += struct.pack("<HHI", number, kind, len(values)) + content.ljust(4, b"\0")
    head = b"II*\0" + start.to_bytes(4, "little")
    return head + pixels + len(tags).to_bytes(2, "little") + entries + bytes(4) + apart


@pytest.mark.parametrize(
    ("bands", "extra"), [(2, [0]), (4, [0]), (4, []), (5, [0, 0]), (8, [0] * 5), (13, [0] * 10)]
)
def test_bands_that_nobody_would_read_are_refused(bands, extra):
    with pytest.raises(UnusableError, match=f"^{bands} bands$") as caught:
        inspect_image(tiff(bands, *extra), 10**6)
    assert caught.value.code == "many-bands"


@pytest.mark.parametrize(("bands", "extra"), [(1, []), (3, []), (4, [1]), (4, [2])])
def test_grey_colours_and_transparency_are_read(bands, extra):
    assert inspect_image(tiff(bands, *extra), 10**6)[:2] == (9, 11)


def test_a_tiff_that_is_cut_is_refused_and_never_ends_otherwise():
    whole = tiff(8, 0, 0, 0, 0, 0)
    for end in range(len(whole)):
        with pytest.raises(UnusableError):
            inspect_image(whole[:end], 10**6)


@pytest.fixture
def reader():
    return LabelReader(
        DatasetDescription.model_validate(
            {
                "name": "two",
                "source": {"path": "nowhere"},
                "images": "img/{split}/{frame}.png",
                "labels": {"format": "index", "path": "lab/{split}/{frame}.png"},
                "classes": {"classes": [{"name": "a", "color": [0, 0, 1]},
                                        {"name": "b", "color": [0, 1, 0]}]},
            }
        )
    )  # fmt: skip


def test_a_png_cut_anywhere_is_refused_as_an_image_and_as_a_label(reader):
    ids = np.random.default_rng(0).integers(0, 2, (9, 11), dtype=np.uint8)
    label = saved("PNG", Image.fromarray(ids))
    assert (reader.read(label) == ids).all()
    for end in range(len(label)):
        with pytest.raises(UnusableError):
            reader.read(label[:end])
        with pytest.raises(UnusableError):
            inspect_image(label[:end], 10**6)


def test_a_png_whose_checksum_differs_is_refused(reader):
    label = bytearray(saved("PNG", Image.fromarray(np.zeros((9, 11), np.uint8))))
    label[-16] ^= 1  # the last byte of the checksum of the pixels
    with pytest.raises(UnusableError):
        reader.read(bytes(label))


def test_links_to_the_folder_that_they_lie_in_do_not_make_a_walk_endless(tmp_path):
    (tmp_path / "drive").mkdir()
    (tmp_path / "drive/a.png").touch()
    (tmp_path / "other").symlink_to(tmp_path / "drive")
    for i in range(6):
        (tmp_path / f"l{i}").symlink_to(".")
        (tmp_path / f"drive/up{i}").symlink_to("..")
    began = time.monotonic()
    assert list(files_below(tmp_path, "")) == ["drive/a.png", "other/a.png"]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("far", [2.0**31, 1e9, 1e19, -1e300])
def test_coordinates_that_cannot_be_painted_are_refused_by_name(far):
    corners = [[0, 0], [far, 0], [4, 4]]
    annotation = {"imgWidth": 9, "imgHeight": 9, "objects": [{"label": "a", "polygon": corners}]}
    with pytest.raises(UnusableError, match=r"`objects\[0\].polygon` has a coordinate beyond"):
        paint_polygons(annotation, {"a": 0}, 255)
    circle = {"label": "a", "points": [[0, 0], [far, 0]], "shape_type": "circle"}
    annotation = {"imageWidth": 9, "imageHeight": 9, "shapes": [circle]}
    with pytest.raises(UnusableError, match=r"`shapes\[0\].points` has a coordinate beyond"):
        paint_labelme(annotation, {"a": 0}, 255)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("\x1b[31mred", r"\x1b[31mred"), ("half \udcff", r"half \udcff"), ("a\rb", r"a\rb"),
     ("Straße 道", "Straße 道")],
)  # fmt: skip
def test_names_from_files_are_shown_escaped(name, shown):
    assert str(DataError(f"label {name}")) == f"label {shown}"
    str(DataError(name)).encode()  # can be written anywhere


def test_messages_of_a_script_are_escaped_on_the_terminal_and_in_its_log(tmp_path):
    import subprocess
    import sys

    from helpers import ROOT

    script = (
        "import logging, types; from pathlib import Path\n"
        "from segbench.system.logs import run_script\n"
        "log = logging.getLogger('segbench.x')\n"
        f"log_path, output = {str(tmp_path / 'a.log')!r}, {str(tmp_path / 'a.txt')!r}\n"
        "snakemake = types.SimpleNamespace(log=[log_path], input=[], output=[output])\n"
        "run_script(lambda s: log.warning('label %s', '\\x1b[2J\\udcff'), snakemake)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True,
        env=dict(os.environ, PYTHONPATH=str(ROOT / "workflow/scripts")),
    )  # fmt: skip
    for text in (done.stderr, (tmp_path / "a.log").read_bytes()):
        assert rb"label \x1b[2J\udcff" in text
        assert b"\x1b" not in text
        assert b"Traceback" not in text
