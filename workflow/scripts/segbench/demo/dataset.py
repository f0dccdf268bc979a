"""Write a drawn dataset in the exact form of IDD 20k II.

`leftImg8bit/<split>/<drive>/<frame>_leftImg8bit.jpg` and
`gtFine/<split>/<drive>/<frame>_gtFine_polygons.json`. The same arguments write the same bytes.
"""

import json
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from segbench.demo.render import render
from segbench.demo.scene import Drive, Scene, compose
from segbench.demo.shapes import Point
from segbench.system.pools import process_pool

FRAMES_PER_DRIVE = 8
JPEG_QUALITY = 92


def draw_dataset(
    folder: Path,
    domain: str,
    train: int,
    val: int,
    size: tuple[int, int],
    seed: int = 0,
    workers: int = 1,
) -> None:
    """Draw a dataset of road scenes.

    Args:
        folder: where to write.
        domain: `urban` or `rural`.
        train: number of training images.
        val: number of validation images.
        size: height and width of the images in pixels.
        seed: another seed draws other scenes.
        workers: number of processes.
    """
    frames = [("train", i) for i in range(train)] + [("val", i) for i in range(val)]
    draw = partial(_draw_frame, folder=folder, domain=domain, size=size, seed=seed)
    if workers <= 1:
        list(map(draw, frames))
    else:
        with process_pool(workers) as pool:
            list(pool.map(draw, frames, chunksize=4))


def _draw_frame(
    frame: tuple[str, int], folder: Path, domain: str, size: tuple[int, int], seed: int
) -> None:
    split, number = frame
    drive_number, place = divmod(number, FRAMES_PER_DRIVE)
    key = [seed, zlib.crc32(domain.encode()), zlib.crc32(split.encode()), drive_number]
    drive = Drive.random(domain, np.random.default_rng(key))
    rng = np.random.default_rng([*key, place])
    scene = compose(drive, size, rng)
    drive_name = str(100 + drive_number + (400 if split == "val" else 0))
    stem = f"frame{place * 30 + 29:04}"

    image_path = folder / "leftImg8bit" / split / drive_name / f"{stem}_leftImg8bit.jpg"
    image_path.parent.mkdir(parents=True, exist_ok=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    image_path.write_bytes(cv2.imencode(".jpg", render(scene, size, rng), quality)[1].tobytes())

    label_path = folder / "gtFine" / split / drive_name / f"{stem}_gtFine_polygons.json"
    label_path.parent.mkdir(parents=True, exist_ok=True)
    label_path.write_text(json.dumps(_annotation(scene, size), indent=1))


def _annotation(scene: Scene, size: tuple[int, int]) -> dict[str, object]:
    """A scene as IDD's annotators would have saved it."""
    height, width = size
    objects = [
        {
            "date": "14-Jun-2019 17:26:53",
            "deleted": 0,
            "draw": True,
            "id": number,
            "label": shape.label,
            "polygon": _inside(shape.polygon, width, height),
            "user": "segbench",
            "verified": 1,
        }
        for number, shape in enumerate(scene.shapes)
    ]
    return {"imgHeight": height, "imgWidth": width, "objects": objects}


def _inside(polygon: Sequence[Point], width: int, height: int) -> list[list[float]]:
    """Clip to a wide frame around the image: outlines may reach past its edge, not to infinity."""
    margin = 4 * (width + height)
    return [
        [
            round(min(max(x, -margin), width + margin), 3),
            round(min(max(y, -margin), height + margin), 3),
        ]
        for x, y in polygon
    ]
