"""Predictions of other tools: read in any form, and never scored in part."""

import cv2
import numpy as np
import pytest
from helpers import manifest_of
from PIL import Image

from segbench.datasets.images import FORMATS
from segbench.engine.evaluation_files import EvaluationFiles
from segbench.engine.external import Outside, score_outside
from segbench.engine.outside_prediction import (
    SUFFIXES,
    Form,
    UnusablePredictionError,
    read_prediction,
)
from segbench.errors import DataError
from segbench.system.run_records import MetricsRecord, TrainRecord

COLORS = ((0, 0, 0), (255, 0, 0), (0, 0, 255))
FORM = Form(classes=3, colors=COLORS, no_class=None, max_pixels=10**6)
IDS = np.array([[0, 1, 2, 2], [1, 1, 0, 2]], np.uint8)


def test_ids_are_read_from_gray_palette_and_deep_images_and_arrays(tmp_path):
    palette = Image.fromarray(IDS, "P")
    palette.putpalette([channel for color in COLORS for channel in color])
    palette.save(tmp_path / "palette.png")
    Image.fromarray(IDS).save(tmp_path / "gray.png")
    cv2.imwrite(str(tmp_path / "deep.png"), IDS.astype(np.uint16))
    Image.fromarray(IDS).save(tmp_path / "gray.bmp")
    np.save(tmp_path / "ids.npy", IDS.astype(np.int64))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 5
    for path in files:
        assert np.array_equal(read_prediction(path, FORM, 2, 4), IDS), path.name


def test_colours_are_those_of_the_classes(tmp_path):
    pixels = np.array(COLORS, np.uint8)[IDS]
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_prediction(tmp_path / "a.png", FORM, 2, 4), IDS)
    pixels[0, 0] = (1, 2, 3)
    Image.fromarray(pixels).save(tmp_path / "b.png")
    with pytest.raises(UnusablePredictionError) as caught:
        read_prediction(tmp_path / "b.png", FORM, 2, 4)
    assert caught.value.kind == "has colours of no class"
    assert "[1, 2, 3]" in caught.value.detail


def test_of_scores_the_highest_one_counts(tmp_path):
    scores = np.stack([i == IDS for i in range(3)]).astype(np.float16)
    np.save(tmp_path / "a.npy", scores)
    assert np.array_equal(read_prediction(tmp_path / "a.npy", FORM, 2, 4), IDS)
    # at a multiple of the size each pixel becomes a block, but for what is interpolated at edges
    large = read_prediction(tmp_path / "a.npy", FORM, 8, 16)
    assert np.array_equal(large[1::4, 1::4], IDS)


def test_another_size_of_the_same_shape_is_brought_to_that_of_the_label(tmp_path):
    Image.fromarray(IDS.repeat(3, 0).repeat(3, 1)).save(tmp_path / "a.png")
    assert np.array_equal(read_prediction(tmp_path / "a.png", FORM, 2, 4), IDS)
    Image.fromarray(IDS).save(tmp_path / "b.png")
    found = read_prediction(tmp_path / "b.png", FORM, 6, 12)
    assert np.array_equal(found, IDS.repeat(3, 0).repeat(3, 1))


def test_what_is_no_class_is_counted_after_the_last_one_if_it_is_named(tmp_path):
    ids = IDS.copy()
    ids[0, 0] = 255
    Image.fromarray(ids).save(tmp_path / "a.png")
    with pytest.raises(UnusablePredictionError, match="values that are no class"):
        read_prediction(tmp_path / "a.png", FORM, 2, 4)
    named = Form(3, COLORS, no_class=255, max_pixels=10**6)
    assert read_prediction(tmp_path / "a.png", named, 2, 4)[0, 0] == 3


def write_text(path):
    path.write_text("no image")


def write_pickle(path):
    np.save(path, np.array([{"a": 1}]), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "write", "kind"),
    [
        ("a.png", write_text, "cannot be read"),
        ("a.npy", write_text, "cannot be read"),
        ("a.npy", write_pickle, "cannot be read"),
        ("a.npy", lambda path: np.save(path, np.zeros(4)), "is neither a map of ids"),
        ("a.npy", lambda path: np.save(path, np.zeros((2, 4, 3))), "scores of 3 classes"),
        ("a.npy", lambda path: np.save(path, np.full((3, 2, 4), np.nan)), "not finite"),
        ("a.npy", lambda path: np.save(path, np.full((2, 4), 0.5)), "values that are no class"),
        ("a.npy", lambda path: np.save(path, np.full((2, 4), -1)), "values that are no class"),
        ("a.png", lambda path: Image.fromarray(IDS.T.copy()).save(path), "another shape"),
        ("a.png", lambda path: Image.new("L", (2000, 1000)).save(path), "too many pixels"),
    ],
)
def test_what_is_no_prediction_says_its_kind(tmp_path, name, write, kind):
    write(tmp_path / name)
    with pytest.raises(UnusablePredictionError) as caught:
        read_prediction(tmp_path / name, FORM, 2, 4)
    assert kind in caught.value.kind


def test_only_forms_that_are_read_are_looked_for():
    known = Image.registered_extensions()
    assert {known[one] for one in SUFFIXES - {".npy"}} == {"PNG", "BMP", "TIFF"}
    assert {"PNG", "BMP", "TIFF"} <= set(FORMATS)


def outside(tmp_path, *files: str, **more) -> Outside:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    return Outside("friend", 0, tmp_path, **more)


def test_a_frame_with_a_space_in_its_name_is_scored(tmp_path):
    name, dataset = "my road__frame 1", tmp_path / "data"
    for folder in ("val_label", "splits", "friend"):
        (dataset / folder).mkdir(parents=True)
    Image.fromarray(IDS).save(dataset / f"val_label/{name}.png")
    Image.fromarray(IDS).save(dataset / f"friend/{name}.png")
    (dataset / "splits/val.txt").write_text(f"{name}\n")
    (dataset / "frames.csv").write_text(f"split,name,group\nval,{name},my road\n")
    manifest = manifest_of(3)
    manifest.write(dataset / "manifest.json")
    files = EvaluationFiles(*(tmp_path / one for one in ("c.npz", "metrics.json", "p.npz")))
    score_outside(
        Outside("friend", 0, dataset / "friend"), dataset,
        [(one.name, one.color) for one in manifest.classes], dataset / "splits/val.txt", files,
        workers=1, max_pixels=10**6,
    )  # fmt: skip
    with np.load(files.confusion) as stored:
        assert stored["names"].tolist() == [name]
        assert np.array_equal(stored["confusion"][0], np.diag(np.bincount(IDS.ravel())))
    assert MetricsRecord.read(files.metrics).miou == 1.0
    assert TrainRecord.read(tmp_path / "train.json").initialization == "external"


FRAMES = ["a__1", "a__2", "b__1"]


def test_files_are_found_by_name_path_and_pattern(tmp_path):
    named = outside(tmp_path / "x", "a__1.png", "a/2.npy", "b/1.png", "notes.txt")
    found = named.by_frame(FRAMES, FRAMES)
    assert [found[name].name for name in FRAMES] == ["a__1.png", "2.npy", "1.png"]
    files = "out/a__1_pred.png", "out/a/2_pred.png", "out/b/1_pred.png", "out/a__1.png"
    called = outside(tmp_path / "y", *files, files="out/{frame}_pred.png")
    found = called.by_frame(FRAMES, FRAMES)
    assert [found[name].name for name in FRAMES] == ["a__1_pred.png", "2_pred.png", "1_pred.png"]


def test_a_missing_file_is_refused_with_counts_and_what_is_foreign(tmp_path):
    with pytest.raises(DataError) as caught:
        outside(tmp_path, "a__1.png", "1.png", "z.png").by_frame(FRAMES, FRAMES)
    text = str(caught.value)
    assert "nothing is scored on a part of the images" in text
    assert "2 of 3 images have no file: 'a__2', 'b__1'" in text
    # there are two frames of that bare name
    assert "2 files are of no image, or of several" in text


def test_two_files_of_one_image_are_refused(tmp_path):
    twice = outside(tmp_path, "a__1.png", "a__1.npy", "a__2.png", "b__1.png")
    with pytest.raises(DataError, match="1 files are second ones for an image"):
        twice.by_frame(FRAMES, FRAMES)


def test_files_of_other_images_are_left_out_with_a_warning(tmp_path, caplog):
    more = outside(tmp_path, "a__1.png", "a__2.png", "b__1.png", "legend.png")
    assert set(more.by_frame(FRAMES, FRAMES[:2])) == {"a__1", "a__2"}
    assert "1 files are of no image of the dataset" in caplog.text
