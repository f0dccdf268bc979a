"""Labels become class ids exactly, pixel for pixel."""

import io
import json

import cv2
import numpy as np
import pytest
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image, ImageDraw

from segbench.config.schema import parse_section, read_yaml
from segbench.datasets.class_list import ClassList
from segbench.datasets.description import DatasetDescription
from segbench.datasets.labels import LabelReader
from segbench.datasets.png import encode_png
from segbench.datasets.polygons import paint_polygons
from segbench.errors import DataError

IDS = {"road": 0, "car": 1, "pole": 2, "polegroup": 2, "unlabeled": 255}
LEVEL3 = parse_section(ClassList, read_yaml(ROOT / "config/classes/idd_level3.yaml"), "level 3")


def reader(label_format: str, classes: ClassList) -> LabelReader:
    """A reader for labels of one form."""
    data = {
        "name": "x",
        "source": "x",
        "images": "{split}/{frame}.png",
        "labels": {"format": label_format, "path": "{split}/{frame}"},
        "classes": classes,
    }
    return LabelReader(parse_section(DatasetDescription, data, "x.yaml"))


def drawing(*objects, width=6, height=5):
    """An annotation with objects given as (label, points) or (label, points, more fields)."""
    listed = [
        {"label": label, "polygon": points, **(more[0] if more else {})}
        for label, points, *more in objects
    ]
    return {"imgWidth": width, "imgHeight": height, "objects": listed}


def painted(*objects, **size):
    return paint_polygons(drawing(*objects, **size), IDS, background=255).tolist()


def png(array, mode=None):
    stream = io.BytesIO()
    Image.fromarray(array, mode=mode).save(stream, "PNG")
    return stream.getvalue()


@given(
    arrays(
        np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=40), elements=st.integers(0, 255)
    )
)
def test_a_label_is_written_as_a_png_that_everyone_reads_alike(ids):
    content = encode_png(ids)
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), ids)
    read = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(read, ids)


def test_a_polygon_covers_its_corners():
    # corners belong to a polygon, so 1..3 by 1..2 covers three columns and two rows
    assert painted(("road", [[1, 1], [3, 1], [3, 2], [1, 2]])) == [
        [255, 255, 255, 255, 255, 255],
        [255, 0, 0, 0, 255, 255],
        [255, 0, 0, 0, 255, 255],
        [255, 255, 255, 255, 255, 255],
        [255, 255, 255, 255, 255, 255],
    ]


WHOLE = [[0, 0], [5, 0], [5, 4], [0, 4]]
POINT = [[2, 2], [2, 2], [2, 2]]


def test_later_objects_cover_earlier_ones():
    image = painted(("road", WHOLE), ("car", POINT))
    assert image[2][2] == 1
    assert image[0][0] == 0


def test_coordinates_are_truncated_not_rounded():
    image = painted(("car", [[1.9, 1.9], [2.9, 1.9], [2.9, 2.9], [1.9, 2.9]]))
    assert image[1][1] == 1
    assert image[3][3] == 255


@pytest.mark.parametrize("mark", [{"deleted": 1}, {"deleted": True}])
def test_deleted_objects_are_left_out(mark):
    assert painted(("road", WHOLE), ("car", WHOLE, mark))[0][0] == 0


@pytest.mark.parametrize("mark", [{"draw": False}, {"verified": 0}, {"id": 7}, {"deleted": 0}])
def test_other_fields_do_not_matter(mark):
    assert painted(("road", WHOLE), ("car", WHOLE, mark))[0][0] == 1


@pytest.mark.parametrize("points", [[], [[1, 1]], [[0, 0], [5, 4]]])
def test_fewer_than_three_points_paint_nothing(points):
    assert set(np.ravel(painted(("car", points)))) == {255}


def test_void_labels_paint_over_what_is_below():
    assert painted(("road", WHOLE), ("unlabeled", POINT))[2][2] == 255


def test_an_unknown_group_is_painted_as_its_members():
    assert painted(("cargroup", WHOLE))[0][0] == 1


def test_a_known_group_keeps_its_own_class():
    assert painted(("polegroup", WHOLE))[0][0] == 2


def test_an_unknown_label_is_an_error_that_names_it():
    with pytest.raises(DataError, match="label 'spaceship', which belongs to no class"):
        painted(("spaceship", WHOLE))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"imgWidth": "6"}, "imgWidth"),
        ({"imgHeight": 0}, "imgHeight"),
        ({"imgWidth": True}, "imgWidth"),
        ({"imgWidth": 30000, "imgHeight": 30000}, "30000x30000"),
        ({"objects": {}}, "objects"),
        ({"objects": ["road"]}, r"objects\[0\]"),
        ({"objects": [{"label": "road", "polygon": [[1, "a"], [2, 2], [3, 3]]}]}, "polygon"),
        ({"objects": [{"label": "road", "polygon": 5}]}, r"objects\[0\].polygon"),
        ({"objects": [{"polygon": WHOLE}]}, r"objects\[0\].label"),
    ],
)
def test_json_of_another_shape_names_the_field(change, message):
    with pytest.raises(DataError, match=message):
        paint_polygons(drawing(("road", WHOLE)) | change, IDS, background=255)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"3", b"\xff\xfe"])
def test_what_is_not_a_json_mapping_is_an_error(data):
    with pytest.raises(DataError, match="JSON"):
        reader("polygons", LEVEL3).read(data)


def plain_painting(annotation):
    """The rules of the public IDD tool in their plainest form, written down independently."""
    names = {}
    for number, one in enumerate(LEVEL3.classes):
        for label in one.labels:
            names[label] = number
    for label in ("unlabeled", "ego vehicle", "rectification border", "out of roi",
                  "license plate"):  # fmt: skip
        names[label] = 255
    image = Image.new("L", (annotation["imgWidth"], annotation["imgHeight"]), 255)
    for item in annotation["objects"]:
        if item.get("deleted"):
            continue
        label = item["label"]
        if label not in names and label.endswith("group"):
            label = label[: -len("group")]
        corners = [(int(point[0]), int(point[1])) for point in item["polygon"]]
        if len(corners) >= 3:
            ImageDraw.Draw(image).polygon(corners, fill=names[label])
    return np.array(image)


def test_the_real_annotation_is_painted_like_the_public_tool(idd_annotation):
    data = idd_annotation.read_bytes()
    annotation = json.loads(data)
    assert len(annotation["objects"]) == 227
    assert sum(bool(item.get("deleted")) for item in annotation["objects"]) == 30
    read = reader("polygons", LEVEL3).read(data)
    assert read.shape == (1080, 1920)
    assert (read == plain_painting(annotation)).all()


coordinates = st.floats(-40, 60, allow_nan=False)
polygons = st.lists(st.tuples(coordinates, coordinates), max_size=7)
labels = st.sampled_from(["road", "car", "cargroup", "polegroup", "sky", "unlabeled"])
objects = st.fixed_dictionaries(
    {"label": labels, "polygon": polygons, "deleted": st.sampled_from([0, 1, False, True])}
)


@settings(max_examples=150, deadline=None)
@given(st.lists(objects, max_size=6))
def test_any_polygons_are_painted_like_the_public_tool(listed):
    annotation = {"imgWidth": 24, "imgHeight": 20, "objects": listed}
    read = reader("polygons", LEVEL3).read(json.dumps(annotation).encode())
    assert (read == plain_painting(annotation)).all()


def test_level_1_groups_level_3_as_published():
    level1 = parse_section(ClassList, read_yaml(ROOT / "config/classes/idd_level1.yaml"), "level 1")
    groups = [
        range(0, 2),
        range(2, 4),
        range(4, 6),
        range(6, 13),
        range(13, 22),
        range(22, 25),
        [25],
    ]
    for level1_id, members in enumerate(groups):
        for level3_id in members:
            for label in LEVEL3.classes[level3_id].labels:
                assert level1.id_of_label()[label] == level1_id, label
    assert level1.id_of_label().keys() == LEVEL3.id_of_label().keys()


def index_reader(**extra):
    classes = [{"name": "a", "color": [1, 2, 3]}, {"name": "b", "color": [4, 5, 6]}]
    return reader("index", parse_section(ClassList, {"classes": classes} | extra, "test"))


def test_an_index_map_is_read_as_it_is():
    values = np.array([[0, 1], [255, 1]], np.uint8)
    assert (index_reader().read(png(values)) == values).all()


def test_a_palette_image_is_read_by_its_indices():
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 250, 250, 250])
    stream = io.BytesIO()
    image.save(stream, "PNG")
    expected = np.asarray(image)
    assert (index_reader(ignore_values=[2, 255]).read(stream.getvalue()) == expected).all()


def test_values_are_grouped_into_classes():
    classes = [
        {"name": "a", "color": [1, 2, 3], "values": [7, 8]},
        {"name": "b", "color": [4, 5, 6], "values": [0]},
    ]
    class_list = parse_section(ClassList, {"classes": classes, "ignore_values": [9]}, "test")
    assert reader("index", class_list).read(png(np.array([[7, 8, 0, 9]], np.uint8))).tolist() == [
        [0, 0, 1, 255]
    ]


def test_values_outside_the_classes_are_named():
    with pytest.raises(DataError, match="values that belong to no class: 2, 17"):
        index_reader().read(png(np.array([[0, 17, 2]], np.uint8)))


def test_a_colour_mask_is_not_an_index_map():
    with pytest.raises(DataError, match="RGB image where a map of class values was promised"):
        index_reader().read(png(np.zeros((2, 2, 3), np.uint8)))


def test_a_file_that_is_not_an_image_is_an_error():
    with pytest.raises(DataError, match="cannot be decoded"):
        index_reader().read(b"not a png")
