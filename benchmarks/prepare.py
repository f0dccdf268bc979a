"""Preparing IDD-form data: segbench against the plain route, in one run on the same files.

The plain route is what a user has today: one process that paints the polygons with Pillow by the
public tool's rules, saves the label, and copies image and label into flat folders. Ours also
decodes every image to prove it whole, hashes, counts classes and writes the manifest. Both start
from the same drawn 1920x1080 frames with as many polygons as a real annotation.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

from timing import seconds

from segbench.datasets.description import DatasetDescription, load_description
from segbench.datasets.prepare import prepare
from segbench.demo.dataset import draw_dataset

ROOT = Path(__file__).parents[1]
DRAWN = 16  # frames that are really drawn; the others are copies of them under other names


def main() -> None:
    """Draw the data, prepare it on both routes, and print images per second and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200, help="number of images")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes of ours"
    )
    options = parser.parse_args()
    description = load_description(ROOT / "config/datasets/idd20k2.yaml")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        draw(source, options.images)
        plain = seconds(lambda: plain_route(source, Path(folder) / "plain", description))
        alone = seconds(lambda: prepare(description, source, Path(folder) / "one", 1))
        ours = seconds(lambda: prepare(description, source, Path(folder) / "all", options.workers))
    rate = options.images
    print(f"{options.images} images of 1920x1080, images per second:")
    print(f"  plain route, one process      {rate / plain:7.1f}")
    print(f"  segbench, one process         {rate / alone:7.1f}   ratio {plain / alone:5.2f}")
    print(
        f"  segbench, {options.workers} processes         {rate / ours:7.1f}   "
        f"ratio {plain / ours:5.2f}"
    )
    peak = [resource.getrusage(who).ru_maxrss / 1024 for who in
            (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]  # fmt: skip
    print(f"  peak memory: {peak[0]:.0f} MB in the parent, {peak[1]:.0f} MB in a worker")


def draw(source: Path, images: int) -> None:
    """Draw some frames and multiply them to the wanted number, four fifths for training."""
    draw_dataset(source, "urban", DRAWN, 2, (1080, 1920), workers=os.cpu_count() or 1)
    frames = sorted((source / "leftImg8bit/train").rglob("*.jpg"))
    for number in range(images - DRAWN - 2):
        side = "val" if number % 5 == 0 else "train"
        image = frames[number % len(frames)]
        annotation = Path(
            str(image).replace("leftImg8bit", "gtFine", 1).replace("_leftImg8bit.jpg", "")
            + "_gtFine_polygons.json"
        )
        for path, kind in ((image, "leftImg8bit"), (annotation, "gtFine")):
            target = source / kind / side / f"copy{number // 50}" / f"{number}_{path.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def plain_route(source: Path, folder: Path, description: DatasetDescription) -> None:
    """Paint, save and copy in one process, flattened by file name."""
    ids = description.classes.id_of_label()
    for side in ("train", "val"):
        for kind in ("img", "label"):
            (folder / f"{side}_{kind}").mkdir(parents=True)
        for path in (source / "gtFine" / side).rglob("*_polygons.json"):
            annotation = json.loads(path.read_text())
            image = Image.new("L", (annotation["imgWidth"], annotation["imgHeight"]), 255)
            drawer = ImageDraw.Draw(image)
            for item in annotation["objects"]:
                points = [(int(x), int(y)) for x, y in item["polygon"]]
                if not item["deleted"] and len(points) >= 3:
                    drawer.polygon(points, fill=ids[item["label"]])
            painted = path.with_name(path.name.replace("polygons.json", "labellevel3Ids.png"))
            image.save(painted)
            name = f"{path.parent.name}__{painted.name}"
            shutil.copyfile(painted, folder / f"{side}_label" / name)
            photo = str(path).replace("gtFine", "leftImg8bit").replace("_polygons.json", ".jpg")
            shutil.copyfile(
                photo, folder / f"{side}_img" / f"{path.parent.name}__{Path(photo).name}"
            )


if __name__ == "__main__":
    main()
