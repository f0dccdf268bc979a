"""Makers of tiny datasets in the exact layout of each ready description.

Each writes images and labels as the real dataset has them and returns what the prepared labels
must be: class ids by side and frame name, worked out here and not by the code under test.
"""

import io
import json
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 10, 14
Expected = dict[tuple[str, str], np.ndarray]
Maker = Callable[[Path], Expected]


def write_image(path: Path, seed: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    """An image of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
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
    """leftImg8bit/<split>/<city>/<frame>_leftImg8bit.png with label ids and polygons."""
    expected = {}
    for i, (side, city, frame) in enumerate(FRAMES):
        stem = f"{side}/{city}/{city}_{frame}_000019"
        write_image(root / f"leftImg8bit/{stem}_leftImg8bit.png", i)
        # road, static (void), car, ego vehicle (void), bicycle
        values = columns(7, 4, 26, 1, 33)
        write_index(root / f"gtFine/{stem}_gtFine_labelIds.png", values)
        # other files of the real release lie beside it
        write_index(root / f"gtFine/{stem}_gtFine_instanceIds.png", columns(0))
        names = {7: "road", 4: "static", 26: "cargroup", 1: "ego vehicle", 33: "bicycle"}
        objects = [("license plate", [[0, 0], [13, 0], [13, 9], [0, 9]])]
        for value, name in names.items():
            first, last = np.flatnonzero(values[0] == value)[[0, -1]].tolist()
            objects.append((name, [[first, 0], [last, 0], [last, 9], [first, 9]]))
        # the official tool leaves license plates out: what they cover, or lie on, shows
        objects.append(("license plate", [[7, 2], [8, 2], [8, 4], [7, 4]]))
        write_polygons(root / f"gtFine/{stem}_gtFine_polygons.json", objects)
        expected[side, f"{city}__{city}_{frame}_000019"] = columns(0, 255, 13, 255, 18)
    return expected


def camvid(root: Path) -> Expected:
    """<split>/<sequence>_<frame>.png with <split>annot; train, val and test."""
    expected = {}
    for i, (side, sequence, frame) in enumerate([*FRAMES, ("test", "d", "0009")]):
        write_image(root / side / f"{sequence}_{frame}.png", i)
        write_index(root / f"{side}annot" / f"{sequence}_{frame}.png", columns(3, 10, 11, 0))
        expected[side, f"{sequence}__{frame}"] = columns(3, 10, 255, 0)
    return expected


def mmseg_folders(root: Path) -> Expected:
    """train_img, train_label, val_img, val_label, and lists of their frames in splits."""
    expected = four_folders(root, "{side}_img", "{side}_label")
    (root / "splits").mkdir()
    for side in ("train", "val"):
        names = [name for of, name in expected if of == side]
        (root / f"splits/{side}.txt").write_text("\n".join(names) + "\n")
    return expected


def mmseg_dirs(root: Path) -> Expected:
    """img_dir/train, img_dir/val, ann_dir/train, ann_dir/val."""
    return four_folders(root, "img_dir/{side}", "ann_dir/{side}")


def four_folders(root: Path, images: str, labels: str) -> Expected:
    """One folder each for the images and the labels of each side."""
    expected = {}
    for i, (side, group, frame) in enumerate(FRAMES):
        suffix = ("jpg", "png", "jpeg")[i]
        write_image(root / images.format(side=side) / f"{group}_{frame}.{suffix}", i)
        path = root / labels.format(side=side) / f"{group}_{frame}.png"
        write_index(path, columns(0, 6, 255, 2))
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


def idd20k2(root: Path, level: int = 3) -> Expected:
    """Drives with polygons and all that the public tool makes; images are JPEG or PNG.

    Args:
        root: where to write.
        level: whose ids are returned; what is written does not depend on it.
    """
    expected = {}
    left, right = [[0, 0], [6, 0], [6, 9], [0, 9]], [[7, 0], [13, 0], [13, 9], [7, 9]]
    # ids of autorickshaw, polegroup and out of roi, by id type
    ids = {"id": (11, 27, 38), "level3Id": (8, 20, 255), "level2Id": (7, 12, 255),
           "level1Id": (3, 4, 255)}  # fmt: skip
    for i, (side, drive, frame) in enumerate(FRAMES):
        suffix = "png" if i == 1 else "jpg"
        write_image(root / f"leftImg8bit/{side}/{drive}/{frame}_leftImg8bit.{suffix}", i)
        objects = [("autorickshaw", left), ("polegroup", right), ("out of roi", [[0, 0]] * 3)]
        stem = root / f"gtFine/{side}/{drive}/{frame}_gtFine"
        write_polygons(stem.with_name(f"{stem.name}_polygons.json"), objects)
        for kind, (first, second, void) in ids.items():
            label = columns(first, second)
            label[0, 0] = void
            write_index(stem.with_name(f"{stem.name}_label{kind}s.png"), label)
            if kind == f"level{level}Id":
                expected[side, f"{drive}__{frame}"] = label
        write_index(stem.with_name(f"{stem.name}_instancelevel3Ids.png"), columns(0))
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


def coco_instances(root: Path) -> Expected:
    """train2017, val2017 and one JSON for each; polygons, both forms of RLE, a crowd."""
    expected: Expected = {}
    files: dict[str, dict[str, list[dict]]] = {}
    # the object of category 2 covers columns 7 to 13, given in three ways
    ways = [
        [[7, 0, 14, 0, 14, 10, 7, 10]],
        {"size": [HEIGHT, WIDTH], "counts": [70, 70]},
        {"size": [HEIGHT, WIDTH], "counts": "V2V2"},
    ]
    for i, (side, group, frame) in enumerate(FRAMES):
        name = f"{group}{frame}"
        write_image(root / f"{side}2017/{name}.jpg", i)
        content = files.setdefault(side, {"images": [], "annotations": []})
        size = {"height": HEIGHT, "width": WIDTH}
        content["images"].append({"id": i, "file_name": f"{name}.jpg", **size})
        # the smaller car comes first in the file and lies on the larger tree all the same
        objects = [(3, [[2, 1, 5, 1, 5, 4, 2, 4]]), (1, [[0, 0, 7, 0, 7, 10, 0, 10]]), (2, ways[i])]
        for category, segmentation in objects:
            crowd = int(isinstance(segmentation, dict))
            of_image = {"image_id": i, "category_id": category, "iscrowd": crowd}
            content["annotations"].append(
                of_image | {"id": len(content["annotations"]), "segmentation": segmentation}
            )
        label = columns(255, 0)
        label[1:4, 2:5] = 1
        expected[side, name] = label
    names = {1: "dontcare", 2: "person", 3: "car"}
    for side, content in files.items():
        content["categories"] = [{"id": i, "name": name} for i, name in names.items()]
        path = root / f"annotations/instances_{side}2017.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return expected


MAKERS: dict[str, Maker] = {
    "camvid": camvid,
    "cityscapes": cityscapes,
    "cityscapes_polygons": cityscapes,
    "coco_instances": coco_instances,
    "idd20k2": idd20k2,
    "idd20k2_labels": idd20k2,
    "idd20k2_level1": partial(idd20k2, level=1),
    "idd20k2_level2": partial(idd20k2, level=2),
    "idd20k2_labels_level1": partial(idd20k2, level=1),
    "idd20k2_labels_level2": partial(idd20k2, level=2),
    "idd_lite": idd_lite,
    "mmseg_dirs": mmseg_dirs,
    "mmseg_folders": mmseg_folders,
    "template": template,
    "voc": voc,
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
