"""The class lists of IDD are those of the dataset's own table of labels."""

import pytest
from helpers import ROOT

from segbench.config.schema import parse_section, read_yaml
from segbench.datasets.class_list import ClassList
from segbench.datasets.description import load_description
from segbench.errors import ConfigError

# Every label in the order of its id, with its ids at levels 3, 2 and 1: the table of the public
# tool (helpers/anue_labels.py of AutoNUE/public-code), copied by hand.
TABLE = """
road 0 0 0, parking 1 1 0, drivable fallback 1 1 0, sidewalk 2 2 1, rail track 3 3 1,
non-drivable fallback 3 3 1, person 4 4 2, animal 4 4 2, rider 5 5 2, motorcycle 6 6 3,
bicycle 7 6 3, autorickshaw 8 7 3, car 9 7 3, truck 10 8 3, bus 11 8 3, caravan 12 8 3,
trailer 12 8 3, train 12 8 3, vehicle fallback 12 8 3, curb 13 9 4, wall 14 9 4, fence 15 10 4,
guard rail 16 10 4, billboard 17 11 4, traffic sign 18 11 4, traffic light 19 11 4, pole 20 12 4,
polegroup 20 12 4, obs-str-bar-fallback 21 12 4, building 22 13 5, bridge 23 13 5, tunnel 23 13 5,
vegetation 24 14 5, sky 25 15 6, fallback background 25 15 6, unlabeled 255 255 255,
ego vehicle 255 255 255, rectification border 255 255 255, out of roi 255 255 255,
license plate 255 255 255
"""
ROWS = [row.rsplit(maxsplit=3) for row in TABLE.strip().replace("\n", " ").split(", ")]
IDS = {level: {row[0]: int(row[column]) for row in ROWS}
       for column, level in ((1, 3), (2, 2), (3, 1))}  # fmt: skip
COUNTS = {3: 26, 2: 16, 1: 7}


def class_list(name):
    path = ROOT / f"config/classes/{name}.yaml"
    return parse_section(ClassList, read_yaml(path), str(path))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_every_label_has_the_id_of_the_table(level):
    classes = class_list(f"idd_level{level}")
    assert classes.id_of_label() == IDS[level]
    assert len(classes.classes) == COUNTS[level]
    # and so label PNGs of this very level need no values of their own
    assert classes.id_of_value() == {i: i for i in range(COUNTS[level])} | {255: 255}


def test_the_list_of_all_labels_has_their_ids():
    assert len(ROWS) == 40
    classes = class_list("idd_labels")
    assert [found.labels for found in classes.classes] == [(row[0],) for row in ROWS[:35]]
    assert set(classes.ignore_values) == {*range(35, 40), 255}


@pytest.mark.parametrize("level", [1, 2])
def test_level_3_ids_are_grouped_as_the_table_has_them(level):
    description = load_description(ROOT / f"config/datasets/idd20k2_labels_level{level}.yaml")
    expected = {IDS[3][name]: IDS[level][name] for name in IDS[3]}
    assert description.classes.id_of_value() == expected


@pytest.mark.parametrize("level", [1, 2, 3])
def test_label_ids_are_grouped_as_the_table_has_them(level):
    grouped = class_list(f"idd_level{level}").grouping(class_list("idd_labels"))
    expected = {i: IDS[level][row[0]] for i, row in enumerate(ROWS)} | {255: 255}
    assert grouped.id_of_value() == expected


def test_what_cannot_be_grouped_is_named(tmp_path):
    text = (ROOT / "config/datasets/idd20k2_labels_level1.yaml").read_text()
    classes = ROOT / "config/classes"
    for finer, said in (
        ("idd_level1", "'drivable' cannot be grouped: its labels .road, parking"),
        ("cityscapes", "'terrain' cannot be grouped: its labels .terrain. must"),
    ):
        path = tmp_path / "mine.yaml"
        path.write_text(
            text.replace(
                "values_of: ../classes/idd_level3", f"values_of: {classes}/{finer}"
            ).replace("classes: ../classes/idd_level1", f"classes: {classes}/idd_level3")
        )
        with pytest.raises(ConfigError, match=rf"mine\.yaml: `labels\.values_of`: {said}"):
            load_description(path)


def test_values_of_another_list_need_an_index_map(tmp_path):
    text = (ROOT / "config/datasets/idd20k2.yaml").read_text()
    path = tmp_path / "mine.yaml"
    path.write_text(
        text.replace("../classes", str(ROOT / "config/classes")).replace(
            "format: polygons,", "format: polygons, values_of: x.yaml,"
        )
    )
    with pytest.raises(ConfigError, match=r"`labels\.values_of` belongs to the format index"):
        load_description(path)
