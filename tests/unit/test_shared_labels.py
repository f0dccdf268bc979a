"""One entry of a COCO file is the label of one image."""

import json

import pytest
from helpers import ROOT
from layouts import coco_instances
from test_doctor import findings, refusal

from segbench.datasets.description import load_description


@pytest.fixture
def raw(tmp_path):
    """COCO's layout with the images in two folders, in each of which one is called `1.jpg`."""
    root = tmp_path / "raw"
    coco_instances(root)
    path = root / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    assert len(content["images"]) == 2
    for folder, entry in zip("ab", content["images"], strict=True):
        (root / "train2017" / folder).mkdir()
        (root / "train2017" / entry["file_name"]).rename(root / f"train2017/{folder}/1.jpg")
        entry["file_name"] = f"{folder}/1.jpg"
    path.write_text(json.dumps(content))
    (image,) = (root / "val2017").glob("*.jpg")
    (root / "val2017/c").mkdir()
    image.rename(root / "val2017/c" / image.name)
    return root


def described():
    found = load_description(ROOT / "config/datasets/coco_instances.yaml")
    return found.model_copy(update={"images": "{split}/{group}/{frame}.{ext:jpg}"})


def test_equal_names_in_two_folders_are_told_apart_by_the_folders(raw, tmp_path):
    assert "label-shape" not in findings(raw, tmp_path, described())


def test_a_bare_name_that_fits_images_in_two_folders_is_refused(raw, tmp_path):
    path = raw / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    content["images"] = [content["images"][0] | {"file_name": "1.jpg"}]
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] == 0]
    path.write_text(json.dumps(content))
    message = refusal(raw, tmp_path, described())
    assert (
        f"{path}: the `file_name` '1.jpg' fits train2017/a/1.jpg and train2017/b/1.jpg" in message
    )
    assert "write their folders into `file_name`" in message
