"""Every ready description prepares data made in its real layout, exactly."""

import json

import cv2
import numpy as np
import pytest
from helpers import ROOT
from layouts import (
    HEIGHT,
    MAKERS,
    WIDTH,
    as_archive,
    cityscapes,
    columns,
    idd20k2,
    png_bytes,
    voc,
)

from segbench.config.schema import parse_section, read_yaml
from segbench.datasets.archives import unpack
from segbench.datasets.check import check_dataset
from segbench.datasets.class_list import ClassList
from segbench.datasets.description import DatasetDescription, load_description
from segbench.datasets.labels import LabelReader
from segbench.datasets.prepare import prepare
from segbench.errors import ConfigError, DataError

DRAWN = {"demo_rural", "demo_urban"}


def ready(name):
    return load_description(ROOT / f"config/datasets/{name}.yaml")


def test_every_ready_description_is_tested_here():
    found = {path.stem for path in (ROOT / "config/datasets").glob("*.yaml")}
    assert found - DRAWN == set(MAKERS)


@pytest.mark.parametrize("name", MAKERS)
def test_a_ready_description_prepares_its_real_layout(name, tmp_path):
    expected = MAKERS[name](tmp_path / "raw")
    prepare(ready(name), tmp_path / "raw", tmp_path / "out")
    labels = {
        (split, path.stem): cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for split in ("train", "val", "test")
        for path in (tmp_path / f"out/{split}_label").glob("*")
    }
    assert labels.keys() == expected.keys()
    for key, label in expected.items():
        assert (labels[key] == label).all(), key
    check_dataset(tmp_path / "out/manifest.json", tmp_path / "out/frames.csv")


def test_the_archive_form_of_voc_is_prepared(tmp_path):
    voc(tmp_path / "raw")
    archive = as_archive(tmp_path / "raw", tmp_path / "voc.tar")
    unpack(archive, tmp_path / "unpacked")
    prepare(ready("voc"), tmp_path / "unpacked", tmp_path / "out")
    assert (tmp_path / "out/splits/val.txt").read_text() == "2007_c0002\n"


@pytest.mark.parametrize("level", [1, 2, 3])
def test_label_pngs_of_every_type_give_the_same_classes(level, tmp_path):
    expected = idd20k2(tmp_path, level)
    description = ready("idd20k2").model_copy(
        update={"classes": ready(f"idd20k2_level{level}" if level < 3 else "idd20k2").classes}
    )
    all_labels = parse_section(ClassList, read_yaml(ROOT / "config/classes/idd_labels.yaml"), "x")
    native = description.model_copy(update={"labels": ready("idd20k2_labels").labels})
    grouped = native.model_copy(update={"classes": native.classes.grouping(all_labels)})
    for (split, name), label in expected.items():
        drive, frame = name.split("__")
        stem = tmp_path / f"gtFine/{split}/{drive}/{frame}_gtFine"
        of_level = stem.with_name(f"{stem.name}_labellevel{level}Ids.png").read_bytes()
        of_all = stem.with_name(f"{stem.name}_labelids.png").read_bytes()
        assert (LabelReader(native).read(of_level) == label).all()
        assert (LabelReader(grouped).read(of_all) == label).all()


def test_polygons_and_label_ids_of_cityscapes_agree():
    classes = ready("cityscapes").classes
    by_name = {found.name: i for i, found in enumerate(classes.classes)}
    assert all(classes.id_of_label()[name] == i for name, i in by_name.items())
    # the 34 label ids and the empty 255 are all accounted for
    assert set(classes.id_of_value()) == {*range(34), 255}
    assert list(by_name)[:3] == ["road", "sidewalk", "building"]
    assert list(by_name)[-1] == "bicycle"


def test_a_list_that_names_a_missing_frame_is_refused(tmp_path):
    voc(tmp_path / "raw")
    path = tmp_path / "raw/VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt"
    path.write_text("2007_c0002\n1999_gone\n")
    with pytest.raises(DataError, match=r"val\.txt: 1 of 2 listed frames have no image.*1999_gone"):
        prepare(ready("voc"), tmp_path / "raw", tmp_path / "out")


def test_a_missing_list_is_named(tmp_path):
    voc(tmp_path / "raw")
    (tmp_path / "raw/VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt").unlink()
    with pytest.raises(DataError, match=r"val\.txt: no such list; correct `splits`"):
        prepare(ready("voc"), tmp_path / "raw", tmp_path / "out")


def description(listed, **changes):
    data = {
        "name": "x",
        "source": "x",
        "images": "img/{group}/{frame}.png",
        "labels": {"format": "rgb", "path": "gt/{group}/{frame}.png"},
        "splits": {"train": "train.txt", "val": "val.txt"},
        "classes": {"classes": listed, "ignore_colors": [[0, 0, 0]]},
    }
    return parse_section(DatasetDescription, data | changes, "x.yaml")


URL = {"url": "https://x.org/files/my%20a.ZIP?download=1", "sha256": "ab" * 32}


def test_a_url_names_a_place_that_is_safe_and_shared():
    source = description(CLASSES, source=URL).source
    assert source.archive == "resources/data/abababababababab/my_20a.ZIP"
    assert source.is_made_here


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"url": URL["url"]}, "`sha256` is needed with `url`"),
        (URL | {"sha256": "ABC"}, "'ABC' is not a SHA-256"),
        (
            URL | {"url": "https://x.org/a.pdf"},
            r"a\.pdf' is not the address of an archive: it must end in \.tar",
        ),
        (URL | {"url": "file:///etc/a.zip"}, "only http:// and https:// addresses"),
        (URL | {"url": "https:///a.zip"}, "is not an address of a file on a host"),
        (URL | {"url": "https://[/a.zip"}, "is not an address"),
        (URL | {"url": "https://u:p@x.org/a.zip"}, r"put it into ~/\.netrc"),
        ({"path": "data", "sha256": "a" * 64}, "`sha256` belongs to a `url`"),
        (URL | {"path": "data"}, "name one of `path`, `url` and `demo`"),
        ({}, "name one of `path`, `url` and `demo`"),
        (URL | {"sha": "x"}, r"\.sha`: unknown key"),
    ],
)
def test_a_wrong_source_is_refused(source, message):
    with pytest.raises(ConfigError, match=rf"x\.yaml: `source.*{message}"):
        description(CLASSES, source=source)


CLASSES = [
    {"name": "a", "color": [10, 20, 30]},
    {"name": "b", "color": [1, 1, 1], "colors": [[255, 0, 0], [0, 0, 255]]},
]


def test_colours_become_classes():
    pixels = np.array([[[10, 20, 30], [255, 0, 0], [0, 0, 255], [0, 0, 0]]], np.uint8)
    assert LabelReader(description(CLASSES)).read(png_bytes(pixels)).tolist() == [[0, 1, 1, 255]]


def test_an_unknown_colour_is_named():
    pixels = np.array([[[10, 20, 30], [10, 20, 31]]], np.uint8)
    with pytest.raises(DataError, match=r"colours that belong to no class: \[10, 20, 31\]"):
        LabelReader(description(CLASSES)).read(png_bytes(pixels))


def test_an_index_map_is_not_a_colour_map():
    with pytest.raises(DataError, match=r"a L image where colours were promised.*format: index"):
        LabelReader(description(CLASSES)).read(png_bytes(columns(0, 1)))


def index(classes=2, **extra):
    listed = [{"name": f"class {i}", "color": [i, i, i]} for i in range(classes)]
    return description(
        listed,
        labels={"format": "index", "path": "gt/{group}/{frame}.png"},
        classes={"classes": listed, **extra},
    )


def test_classes_that_start_at_one_are_recognised():
    with pytest.raises(DataError, match=r"no class: 2 \(do the classes start at 1 here"):
        LabelReader(index()).read(png_bytes(columns(1, 2)))


def test_masks_of_0_and_255_are_recognised(tmp_path):
    with pytest.raises(DataError, match=r"no class: 255 \(a 0/255 mask"):
        LabelReader(index(ignore_values=[])).read(png_bytes(columns(0, 255)))
    # where 255 is void, which is usual, only the whole dataset gives it away
    expected = MAKERS["mmseg_folders"](tmp_path / "raw")
    for split, name in expected:
        (tmp_path / f"raw/{split}_label/{name}.png").write_bytes(png_bytes(columns(0, 255)))
    prepare(ready("mmseg_folders"), tmp_path / "raw", tmp_path / "out")
    with pytest.raises(DataError, match=r"hold only 0 and void.*\n.*values: \[255\]"):
        check_dataset(tmp_path / "out/manifest.json", tmp_path / "out/frames.csv")


def test_a_name_in_a_list_must_mean_one_frame(tmp_path):
    root = tmp_path / "raw"
    for group in ("1", "2"):
        for kind in ("img", "gt"):
            path = root / kind / group / "a.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.full((HEIGHT, WIDTH, 3), (10, 20, 30), np.uint8)
            path.write_bytes(png_bytes(pixels))
    (root / "train.txt").write_text("a\n")
    (root / "val.txt").write_text("2__a\n")
    with pytest.raises(DataError, match=r"'a' names both .*write .*1__a.* instead"):
        prepare(description(CLASSES), root, tmp_path / "out")
    (root / "train.txt").write_text("1__a\n\n")
    prepare(description(CLASSES), root, tmp_path / "out")
    assert (tmp_path / "out/splits/train.txt").read_text() == "1__a\n"


def test_shapes_of_labelme_are_painted():
    shapes = [
        {"label": "a", "shape_type": "circle", "points": [[5, 5], [5, 8]]},
        {"label": "b", "shape_type": "rectangle", "points": [[3, 3], [1, 1]]},
        {"label": "b", "points": [[9, 0], [9, 0], [9, 0]]},
    ]
    listed = [
        {"name": "a", "color": [0, 0, 1], "labels": ["a"]},
        {"name": "b", "color": [0, 0, 2], "labels": ["b"]},
    ]
    labels = {"format": "labelme", "path": "{group}/{frame}.json", "background": "a"}
    reader = LabelReader(description(listed, labels=labels, classes={"classes": listed}))
    annotation = {"imageHeight": 12, "imageWidth": 12, "shapes": shapes}
    label = reader.read(json.dumps(annotation).encode())
    assert (label[1:4, 1:4] == 1).all()
    assert label[0, 9] == 1
    assert (label == 1).sum() == 10
    assert set(np.unique(label)) == {0, 1}
    shapes.append({"label": "a", "shape_type": "line", "points": [[0, 0], [5, 5]]})
    with pytest.raises(DataError, match=r"`shapes\[3\]` is a line of 2 points; areas are needed"):
        reader.read(json.dumps(annotation).encode())


def test_an_unknown_background_is_named(tmp_path):
    cityscapes(tmp_path)
    labels = {"format": "labelme", "path": "{group}/{frame}.json", "background": "grass"}
    with pytest.raises(Exception, match=r"labels\.background`: there is no class 'grass'"):
        description(
            [{"name": "a", "color": [0, 0, 0], "labels": ["a"]}, {"name": "b", "color": [1, 1, 1]}],
            labels=labels,
        )
