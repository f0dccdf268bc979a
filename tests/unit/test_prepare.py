"""A dataset is prepared in one pass, and bad files are named with the remedy."""

import json
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from helpers import ROOT
from PIL import Image

from segbench.config.schema import parse_section
from segbench.datasets.archives import unpack
from segbench.datasets.check import check_dataset
from segbench.datasets.description import DatasetDescription, load_description
from segbench.datasets.prepare import prepare
from segbench.demo.dataset import draw_dataset
from segbench.errors import DataError

CLASSES = [{"name": "ground", "color": [9, 9, 9]}, {"name": "sky", "color": [1, 2, 250]}]


def describe(**changes) -> DatasetDescription:
    data = {
        "name": "small",
        "source": "source",
        "images": "img/{split}/{group}/{frame}.{ext:jpg|png}",
        "labels": {"format": "index", "path": "gt/{split}/{group}/{frame}.png"},
        "classes": {"classes": CLASSES},
    }
    return parse_section(DatasetDescription, data | changes, "small.yaml")


def add(root: Path, split: str, group: str, frame: str, label: np.ndarray | None = None) -> Path:
    """Write an image of noise with its label; returns the image's path."""
    rng = np.random.default_rng(zlib.crc32(f"{split}/{group}/{frame}".encode()))
    image = root / "img" / split / group / f"{frame}.jpg"
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(image)
    target = root / "gt" / split / group / f"{frame}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    label = np.tile(np.array([0, 1], np.uint8), (12, 8)) if label is None else label
    Image.fromarray(label).save(target)
    return image


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "source"
    for split, group, frame in [("train", "1", "a"), ("train", "2", "a"), ("val", "3", "a")]:
        add(root, split, group, frame)
    return root


def test_the_layout_of_mmsegmentation_users_is_prepared(source, tmp_path):
    prepare(describe(), source, tmp_path / "out")
    files = sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")
    )
    assert files == [
        "frames.csv", "manifest.json", "splits/train.txt", "splits/val.txt",
        "train_img/1__a.jpg", "train_img/2__a.jpg", "train_label/1__a.png", "train_label/2__a.png",
        "val_img/3__a.jpg", "val_label/3__a.png",
    ]  # fmt: skip
    assert (tmp_path / "out/splits/train.txt").read_text() == "1__a\n2__a\n"


def test_the_manifest_counts_pixels_and_images(source, tmp_path):
    label = np.full((12, 16), 255, np.uint8)
    label[0, :3] = 1
    add(source, "val", "3", "b", label)
    prepare(describe(), source, tmp_path / "out")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["splits"]["val"] == {
        "images": 2, "groups": 1, "class_pixels": [96, 96 + 3], "class_images": [1, 2],
        "pixels_where_seen": [12 * 16, 12 * 16 + 3],
        "ignored_pixels": 12 * 16 - 3, "brightness": pytest.approx(0.5, abs=0.1),
    }  # fmt: skip
    assert manifest["image_sizes"] == [[12, 16, 4]]
    # all four images show class 1, three show class 0 too
    assert manifest["cooccurrence"] == [[3, 3], [3, 4]]
    assert manifest["images_placed_by"] == ["hardlink"]


def test_images_are_linked_not_copied(source, tmp_path):
    prepare(describe(), source, tmp_path / "out")
    linked = tmp_path / "out/train_img/1__a.jpg"
    assert linked.stat().st_ino == (source / "img/train/1/a.jpg").stat().st_ino


def test_several_processes_give_the_same_dataset(source, tmp_path):
    prepare(describe(), source, tmp_path / "one", workers=1)
    prepare(describe(), source, tmp_path / "two", workers=2)
    for name in ("manifest.json", "frames.csv", "splits/train.txt"):
        assert (tmp_path / "one" / name).read_text() == (tmp_path / "two" / name).read_text()


def test_the_content_hash_follows_content_and_not_place(source, tmp_path):
    def content(out):
        prepare(describe(), source, tmp_path / out)
        return json.loads((tmp_path / out / "manifest.json").read_text())["content_sha256"]

    before = content("one")
    source = source.rename(tmp_path / "elsewhere")
    assert content("two") == before
    label = np.zeros((12, 16), np.uint8)
    add(source, "val", "3", "a", label)
    assert content("three") != before


def refusal(source, tmp_path, description=None) -> str:
    with pytest.raises(DataError) as caught:
        prepare(description or describe(), source, tmp_path / "out")
    assert not (tmp_path / "out/manifest.json").exists()
    return str(caught.value)


def test_a_truncated_image_is_named(source, tmp_path):
    path = source / "img/train/1/a.jpg"
    path.write_bytes(path.read_bytes()[:-60])
    message = refusal(source, tmp_path)
    assert "images that cannot be read (1)" in message
    assert str(path) in message
    assert "copy or download the files again" in message


def test_an_image_without_a_label_is_named(source, tmp_path):
    (source / "gt/val/3/a.png").unlink()
    message = refusal(source, tmp_path)
    assert "images without a label (1)" in message
    assert "img/val/3/a.jpg: looked for gt/val/3/a.png" in message
    assert "add the label" in message


def test_a_label_of_another_size_is_named(source, tmp_path):
    add(source, "train", "1", "a", np.zeros((10, 16), np.uint8))
    message = refusal(source, tmp_path)
    assert "labels of another size than their image (1)" in message
    assert "gt/train/1/a.png: 16x10, image 16x12" in message


def test_values_outside_the_classes_are_named(source, tmp_path):
    label = np.zeros((12, 16), np.uint8)
    label[3, 3] = 42
    add(source, "train", "2", "a", label)
    message = refusal(source, tmp_path)
    assert "gt/train/2/a.png: has values that belong to no class: 42" in message
    assert "ignore_values" in message


def test_every_problem_is_reported_at_once(source, tmp_path):
    (source / "gt/val/3/a.png").unlink()
    path = source / "img/train/1/a.jpg"
    path.write_bytes(b"")
    message = refusal(source, tmp_path)
    assert "images without a label (1)" in message
    assert "images that cannot be read (1)" in message


def test_many_examples_are_cut_short(source, tmp_path):
    for i in range(9):
        add(source, "train", "5", f"f{i}")
        (source / f"gt/train/5/f{i}.png").unlink()
    assert "images without a label (9)" in (message := refusal(source, tmp_path))
    assert "... and 4 more" in message


def test_a_pattern_that_finds_nothing_shows_what_is_there(source, tmp_path):
    message = refusal(source, tmp_path, describe(images="photos/{split}/{frame}.jpg"))
    assert "no image matches 'photos/{split}/{frame}.jpg' for the train split, 'train'" in message
    assert "gt/train/1/a.png" in message


def test_names_that_would_collide_are_refused(source, tmp_path):
    without_group = describe(
        images="img/{split}/1/{frame}.{ext:jpg|png}",
        labels={"format": "index", "path": "gt/{split}/1/{frame}.png"},
    )
    add(source, "val", "1", "a")
    Image.new("RGB", (16, 12)).save(source / "img/train/1/a.png")
    message = refusal(source, tmp_path, without_group)
    assert "img/train/1/a.jpg and img/train/1/a.png would both be named 'a'" in message


def test_a_missing_root_is_named(source, tmp_path):
    assert "source/wrong: no such folder" in refusal(source, tmp_path, describe(root="wrong"))


def warnings(folder: Path) -> str:
    found = check_dataset(folder / "manifest.json", folder / "frames.csv")
    return "\n".join(finding.as_text() for finding in found.warnings)


def test_the_check_warns_of_absent_classes_and_few_images(source, tmp_path):
    add(source, "val", "3", "a", np.zeros((12, 16), np.uint8))
    prepare(describe(), source, tmp_path / "out")
    text = warnings(tmp_path / "out")
    assert "classes without a pixel in the val split (1)\n    sky" in text
    assert "fewer than 20 validation images" in text
    assert "train split" not in text


def test_the_check_warns_of_leaks(source, tmp_path):
    image = add(source, "val", "1", "b")
    image.write_bytes((source / "img/train/2/a.jpg").read_bytes())
    prepare(describe(), source, tmp_path / "out")
    text = warnings(tmp_path / "out")
    assert "drives or sequences in more than one split (1)\n    1" in text
    assert "identical images in more than one split (1)\n    2__a = 1__b" in text


def test_a_split_without_labels_is_an_error(source, tmp_path):
    add(source, "val", "3", "a", np.full((12, 16), 255, np.uint8))
    prepare(describe(), source, tmp_path / "out")
    with pytest.raises(DataError, match="no labelled pixel in the val split"):
        warnings(tmp_path / "out")


def test_drawn_data_has_the_form_of_idd(tmp_path):
    draw_dataset(tmp_path / "a", "urban", train=9, val=2, size=(48, 80))
    image = tmp_path / "a/leftImg8bit/train/100/frame0029_leftImg8bit.jpg"
    label = tmp_path / "a/gtFine/train/100/frame0029_gtFine_polygons.json"
    assert image.is_file()
    annotation = json.loads(label.read_text())
    assert (annotation["imgHeight"], annotation["imgWidth"]) == (48, 80)
    assert {"label", "polygon", "deleted", "draw", "id"} <= annotation["objects"][0].keys()
    assert (tmp_path / "a/leftImg8bit/train/101").is_dir()


@pytest.mark.parametrize("domain", ["urban", "rural"])
def test_drawn_data_is_reproducible_and_fully_labelled(tmp_path, domain):
    for name, workers in (("a", 1), ("b", 2)):
        draw_dataset(tmp_path / name, domain, train=10, val=3, size=(64, 96), workers=workers)
    paths = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert len(paths) == 26
    assert all(
        (tmp_path / "a" / p).read_bytes() == (tmp_path / "b" / p).read_bytes() for p in paths
    )
    description = load_description(ROOT / f"config/datasets/demo_{domain}.yaml")
    prepare(description, tmp_path / "a", tmp_path / "out")
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["splits"]["train"]["ignored_pixels"] == 0
    assert all(manifest["splits"]["train"]["class_pixels"])


def test_the_domains_differ_as_roads_do(tmp_path):
    """Cities have buildings and traffic, the country has earth beside the road, and herds."""
    shares = {}
    for domain in ("urban", "rural"):
        draw_dataset(tmp_path / domain, domain, train=24, val=1, size=(64, 96))
        description = load_description(ROOT / "config/datasets/demo_rural.yaml")
        prepare(description, tmp_path / domain, tmp_path / f"{domain}_out")
        manifest = json.loads((tmp_path / f"{domain}_out/manifest.json").read_text())
        pixels = np.array(manifest["splits"]["train"]["class_pixels"])
        names = [c["name"] for c in manifest["classes"]]
        shares[domain] = dict(zip(names, pixels / pixels.sum(), strict=True))
    for name, where, elsewhere in (
        ("far objects", "urban", "rural"), ("vehicles", "urban", "rural"),
        ("non-drivable", "rural", "urban"), ("living things", "rural", "urban"),
    ):  # fmt: skip
        assert shares[where][name] > 2 * shares[elsewhere][name], name


def test_idd_lite_is_prepared_whole(idd_lite_archive, tmp_path):
    unpack(idd_lite_archive, tmp_path / "raw")
    description = load_description(ROOT / "config/datasets/idd_lite.yaml")
    prepare(description, tmp_path / "raw", tmp_path / "out", workers=2)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["splits"]["train"]["images"] == 1403
    assert manifest["splits"]["val"]["images"] == 204
    frames = pd.read_csv(tmp_path / "out/frames.csv", dtype=str)
    train = frames[frames["split"] == "train"]
    # flattened by file name alone, 23 of these would overwrite each other
    assert len(train) - train["name"].str.split("__").str[1].nunique() == 23
    # a label is what the source has, pixel for pixel
    row = train.iloc[700]
    raw = (
        tmp_path
        / f"raw/idd20k_lite/gtFine/train/{row['group']}/{row['name'].split('__')[1]}_label.png"
    )
    written = cv2.imread(str(tmp_path / f"out/train_label/{row['name']}.png"), cv2.IMREAD_UNCHANGED)
    assert (written == np.asarray(Image.open(raw))).all()


def test_an_image_that_is_turned_by_a_note_is_refused(source, tmp_path):
    """Pillow shows it as stored, OpenCV turned: image and label would not agree."""
    path = source / "img/train/1/a.jpg"
    image = Image.open(path)
    exif = image.getexif()
    exif[0x0112] = 3
    image.save(path, exif=exif)
    message = refusal(source, tmp_path)
    assert "images that are turned by an EXIF note (1)" in message
    assert "a.jpg: orientation 3" in message


def test_a_dangling_link_is_listed_among_the_others(source, tmp_path):
    path = source / "img/train/1/a.jpg"
    path.unlink()
    path.symlink_to("nowhere.jpg")
    message = refusal(source, tmp_path)
    assert "images that cannot be read (1)" in message
    assert "a.jpg: No such file or directory" in message


def test_a_name_that_would_break_a_list_is_refused(source, tmp_path):
    for kind, suffix in (("img", "jpg"), ("gt", "png")):
        (source / f"{kind}/val/3/a.{suffix}").rename(source / f"{kind}/val/3/a\nb.{suffix}")
    assert "file names with characters that cannot be written (1)" in refusal(source, tmp_path)


def test_it_does_not_hang_where_opencv_had_threads(tmp_path):
    """A forked process that waits for its parent's threads would wait without end."""
    program = (
        "import sys, cv2, numpy as np; from pathlib import Path;"
        "[cv2.GaussianBlur(np.zeros((2000, 2000, 3), np.uint8), (15, 15), 0) for _ in range(9)];"
        "from segbench.demo.dataset import draw_dataset;"
        "from segbench.datasets.description import load_description;"
        "from segbench.datasets.prepare import prepare;"
        "root = Path(sys.argv[1]); draw_dataset(root / 'raw', 'rural', 8, 4, (64, 96), 0, 2);"
        "prepare(load_description(Path(sys.argv[2])), root / 'raw', root / 'out', 2)"
    )
    arguments = [str(tmp_path), str(ROOT / "config/datasets/demo_rural.yaml")]
    environment = {"PYTHONPATH": str(ROOT / "workflow/scripts")}
    subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, timeout=120, env=environment
    )
    assert len([*(tmp_path / "out/val_img").iterdir()]) == 4
