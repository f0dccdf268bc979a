"""Makers of tiny datasets in the exact layout of each ready description.

Each writes images and labels as the real dataset has them and returns what the prepared labels
must be: class ids by side and frame name, worked out here and not by the code under test.
"""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 10, 14
Expected = dict[tuple[str, str], np.ndarray]
Maker = Callable[[Path], Expected]


def write_image(path: Path, seed: int) -> None:
    """An image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_index(path: Path, values: np.ndarray, palette: bool = False) -> None:
    """A label as a one-channel PNG, or as a palette PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values.astype(np.uint8))
    if palette:
        image.putpalette([channel for i in range(256) for channel in (i, 255 - i, i // 2)])
    image.save(path)


def write_polygons(path: Path, objects: list[tuple[str, list[list[float]]]]) -> None:
    """An annotation in the JSON of IDD and Cityscapes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = [{"label": label, "polygon": points, "deleted": 0} for label, points in objects]
    path.write_text(json.dumps({"imgHeight": HEIGHT, "imgWidth": WIDTH, "objects": listed}))


def columns(*values: int) -> np.ndarray:
    """A map in which each value fills a block of columns, in order."""
    row = np.repeat(values, -(-WIDTH // len(values)))[:WIDTH]
    return np.tile(row, (HEIGHT, 1)).astype(np.uint8)


# the frames of every dataset here: side, group, frame
FRAMES = [("train", "a", "0001"), ("train", "b", "0001"), ("val", "c", "0002")]


def cityscapes(root: Path) -> Expected:
    """leftImg8bit/<split>/<city>/<frame>_leftImg8bit.png with *_gtFine_labelIds.png."""
    expected = {}
    for i, (side, city, frame) in enumerate(FRAMES):
        stem = f"{side}/{city}/{city}_{frame}_000019"
        write_image(root / f"leftImg8bit/{stem}_leftImg8bit.png", i)
        # road, static (void), person, ego vehicle (void), bicycle
        write_index(root / f"gtFine/{stem}_gtFine_labelIds.png", columns(7, 4, 24, 1, 33))
        # other files of the real release lie beside it
        write_index(root / f"gtFine/{stem}_gtFine_instanceIds.png", columns(0))
        expected[side, f"{city}__{city}_{frame}_000019"] = columns(0, 255, 11, 255, 18)
    return expected


def camvid(root: Path) -> Expected:
    """<split>/<sequence>_<frame>.png with <split>annot; the test side is left alone."""
    expected = {}
    for i, (side, sequence, frame) in enumerate([*FRAMES, ("test", "d", "0009")]):
        write_image(root / side / f"{sequence}_{frame}.png", i)
        write_index(root / f"{side}annot" / f"{sequence}_{frame}.png", columns(3, 10, 11, 0))
        if side != "test":
            expected[side, f"{sequence}__{frame}"] = columns(3, 10, 255, 0)
    return expected


def mmseg_folders(root: Path) -> Expected:
    """train_img, train_label, val_img, val_label."""
    expected = {}
    for i, (side, group, frame) in enumerate(FRAMES):
        suffix = ("jpg", "png", "jpeg")[i]
        write_image(root / f"{side}_img/{group}_{frame}.{suffix}", i)
        write_index(root / f"{side}_label/{group}_{frame}.png", columns(0, 6, 255, 2))
        expected[side, f"{group}_{frame}"] = columns(0, 6, 255, 2)
    return expected


def voc(root: Path) -> Expected:
    """VOCdevkit with palette PNGs; list files name the frames of each side."""
    base, expected = root / "VOCdevkit/VOC2012", {}
    lists: dict[str, list[str]] = {"train": [], "val": []}
    for i, (side, group, frame) in enumerate([*FRAMES, ("", "x", "0003")]):
        name = f"2007_{group}{frame}"
        write_image(base / f"JPEGImages/{name}.jpg", i)
        if not side:
            continue  # most of VOC's images have no segmentation
        label = columns(0, 15, 255, 20)
        write_index(base / f"SegmentationClass/{name}.png", label, palette=True)
        lists[side].append(name)
        expected[side, name] = label
    for side, names in lists.items():
        path = base / f"ImageSets/Segmentation/{side}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(names) + "\n")
    return expected


def idd20k2(root: Path) -> Expected:
    """Drives with polygons; part of the images are JPEG, part PNG."""
    expected = {}
    left, right = [[0, 0], [6, 0], [6, 9], [0, 9]], [[7, 0], [13, 0], [13, 9], [7, 9]]
    for i, (side, drive, frame) in enumerate(FRAMES):
        suffix = "png" if i == 1 else "jpg"
        write_image(root / f"leftImg8bit/{side}/{drive}/{frame}_leftImg8bit.{suffix}", i)
        objects = [("autorickshaw", left), ("polegroup", right), ("out of roi", [[0, 0]] * 3)]
        write_polygons(root / f"gtFine/{side}/{drive}/{frame}_gtFine_polygons.json", objects)
        label = columns(8, 20)
        label[0, 0] = 255
        expected[side, f"{drive}__{frame}"] = label
    return expected


def idd_lite(root: Path) -> Expected:
    """The archive's form: ids, labels 0 to 6 and 255, instance maps beside them."""
    base, expected = root / "idd20k_lite", {}
    for i, (side, sequence, frame) in enumerate(FRAMES):
        write_image(base / f"leftImg8bit/{side}/{sequence}/{frame}_image.jpg", i)
        label = columns(0, 3, 6, 255)
        write_index(base / f"gtFine/{side}/{sequence}/{frame}_label.png", label)
        write_index(base / f"gtFine/{side}/{sequence}/{frame}_inst_label.png", columns(0, 77))
        expected[side, f"{sequence}__{frame}"] = label
    return expected


def template(root: Path) -> Expected:
    """The template's layout, with labelme's JSON."""
    base, expected = root / "release", {}
    sides = {"train": "training", "val": "validation"}
    for i, (side, group, frame) in enumerate(FRAMES):
        write_image(base / f"images/{sides[side]}/{group}/{frame}.jpg", i)
        shapes = [
            {"label": "truck", "shape_type": "rectangle", "points": [[5, 0], [0, 9]]},
            {
                "label": "unclear",
                "shape_type": "polygon",
                "points": [[0, 0], [2, 0], [2, 1], [0, 1]],
            },
        ]
        path = base / f"labels/{sides[side]}/{group}/{frame}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"imageHeight": HEIGHT, "imageWidth": WIDTH, "shapes": shapes, "imageData": None}
        path.write_text(json.dumps(content))
        label = np.zeros((HEIGHT, WIDTH), np.uint8)
        label[:, :6] = 1
        label[:2, :3] = 255
        expected[side, f"{group}__{frame}"] = label
    return expected


MAKERS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (cityscapes, camvid, mmseg_folders, voc, idd20k2, idd_lite, template)
}


def as_archive(folder: Path, archive: Path) -> Path:
    """Pack a folder as a tar archive."""
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, arcname=".")
    return archive


def png_bytes(pixels: np.ndarray) -> bytes:
    """An array as the content of a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
