"""Preparing IDD-form data: segbench against the plain route, in one run on the same files.

The plain route is what a user has today: one process that paints the polygons with Pillow by the
public tool's rules, saves the label, and copies image and label into flat folders. Ours also
decodes every image to prove it whole, hashes, counts classes, keeps labels for the next time and
writes the manifest. Both start from the same drawn 1920x1080 frames, whose annotations are filled
up to the counts of a real one: 227 objects, 30 of them deleted, about 5,200 corners, 650 KB.

The routes take turns, and the best of the rounds counts: other work on the machine only ever
slows one down. Beside the wall time stands the processor time, which such work disturbs less.
"""

import argparse
import cProfile
import json
import os
import pstats
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

from timing import seconds

from segbench.datasets.description import DatasetDescription, load_description
from segbench.datasets.prepare import prepare
from segbench.demo.dataset import draw_dataset

ROOT = Path(__file__).parents[1]
DRAWN = 16  # frames that are really drawn; the others are copies of them under other names
OBJECTS, DELETED, CORNERS = 227, 30, 5196  # of the real annotation
# what the time of one process is spent on, by the functions that do it
STAGES = {
    "decode the image": "images.py:inspect_image",
    "parse the annotation": "orjson.loads",
    "paint the polygons": "polygons.py:paint_polygons",
    "count the classes": "labels.py:_counted",
    "encode the label": "png.py:encode_png",
    "hash": "openssl_sha256",
    "read files": "pathlib.py:read_bytes",
    "write the label": "pathlib.py:write_bytes",
    "link the image": "files.py:place",
    "keep the label": "cache.py:remember",
}


def main() -> None:
    """Compare the routes, or measure memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200, help="number of images")
    parser.add_argument("--rounds", type=int, default=2, help="the best of so many counts")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes of ours"
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="time and peak memory for 500 and for 5,000 small images",
    )
    parser.add_argument("--peak-of", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak_of:
        print_peak(options.peak_of, options.workers)
    elif options.memory:
        compare_memory(options.workers)
    else:
        compare_speed(options.images, options.rounds, options.workers)


def compare_speed(images: int, rounds: int, workers: int) -> None:
    """Prepare drawn data on both routes; print images per second, the ratio and the stages."""
    description = load_description(ROOT / "config/datasets/idd20k2.yaml")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source, cache = folder / "source", folder / "cache"
        draw(source, images)
        ours = {f"segbench, {n} process{'es' * (n > 1)}": n for n in dict.fromkeys((1, workers))}
        routes: dict[str, Callable[[], object]] = {
            "plain route, 1 process": lambda: plain_route(source, folder / "out", description)
        }
        for name, number in ours.items():
            routes[name] = lambda number=number: prepare(
                description, source, folder / "out", number, cache
            )
        best = {name: (float("inf"), float("inf")) for name in routes}
        for _ in range(rounds):
            for name, route in routes.items():
                shutil.rmtree(folder / "out", ignore_errors=True)
                shutil.rmtree(cache, ignore_errors=True)
                before = processor_time()
                wall = seconds(route)
                spent = processor_time() - before
                best[name] = min(best[name][0], wall), min(best[name][1], spent)
        again = "segbench, unchanged files again"
        best[again] = (seconds(routes[list(routes)[-1]]), float("nan"))
        print(f"{images} images of 1920x1080, best of {rounds}:")
        plain = best["plain route, 1 process"]
        for name, (wall, spent) in best.items():
            print(
                f"  {name:34s}{images / wall:7.1f} images/s  ratio {plain[0] / wall:6.2f}"
                f"   processor time {1000 * spent / images:6.1f} ms/image, "
                f"ratio {plain[1] / spent:5.2f}"
            )
        shutil.rmtree(cache)
        print_stages(lambda: prepare(description, source, folder / "out", 1))


def processor_time() -> float:
    """Seconds of processor time of this process and of those it waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def print_stages(call: Callable[[], object]) -> None:
    """Profile a call and print the share of each stage."""
    profile = cProfile.Profile()
    profile.runcall(call)
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = sum(own for _, _, own, _, _ in stats.values())
    left = 100.0
    print("where the time of one process goes (profiled):")
    for stage, wanted in STAGES.items():
        share = 0.0
        for (file, _, function), (_, _, _, cumulative, _) in stats.items():
            name = f"{Path(file).name}:{function}" if file != "~" else function
            if name == wanted or (file == "~" and wanted in function):
                share += 100 * cumulative / total
        left -= share
        print(f"  {stage:22s}{share:5.1f} %")
    print(f"  {'all else':22s}{left:5.1f} %")


def compare_memory(workers: int) -> None:
    """Print what preparing 500 and 5,000 small images takes, each in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        for images in (500, 5000):
            source = Path(folder) / str(images)
            draw(source, images, size=(108, 192))
            command = [sys.executable, __file__, "--peak-of", source, "--workers", str(workers)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"{images:5d} images: {done.stdout.strip()}")


def print_peak(source: Path, workers: int) -> None:
    """Prepare a dataset; print the time, and the peak memory here and in the largest worker."""
    description = load_description(ROOT / "config/datasets/idd20k2.yaml")
    places = source.parent / f"out-{source.name}", workers, source.parent / f"cache-{source.name}"
    taken = seconds(lambda: prepare(description, source, *places))
    parent, worker = (
        resource.getrusage(who).ru_maxrss / 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(f"{taken:.1f} s, {parent:.0f} MB at most in the parent, {worker:.0f} MB in a worker")


def draw(source: Path, images: int, size: tuple[int, int] = (1080, 1920)) -> None:
    """Draw some frames and multiply them to the wanted number, four fifths for training."""
    draw_dataset(source, "urban", DRAWN, 2, size, workers=os.cpu_count() or 1)
    for number, path in enumerate(sorted(source.rglob("*_polygons.json"))):
        fill_up(path, np.random.default_rng(number))
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
    for path in source.rglob("*.*"):
        os.utime(path, (10**9, 10**9))  # files of a real dataset are older than a second


def fill_up(path: Path, rng: np.random.Generator) -> None:
    """Add small objects to an annotation until it has the counts of the real one."""
    annotation = json.loads(path.read_text())
    objects = annotation["objects"]
    height, width = annotation["imgHeight"], annotation["imgWidth"]
    labels = sorted({item["label"] for item in objects})
    missing = CORNERS - sum(len(item["polygon"]) for item in objects)
    count = OBJECTS - len(objects)
    for number in range(count):
        corners = missing // count + (number < missing % count)
        angles = np.sort(rng.random(corners)) * 2 * np.pi
        radius = rng.uniform(0.01, 0.04) * height * rng.uniform(0.8, 1.2, corners)
        x = rng.uniform(0, width) + radius * np.cos(angles)
        y = rng.uniform(0.3, 0.9) * height + radius * np.sin(angles)
        polygon = np.stack([x.clip(0, width - 1), y.clip(0, height - 1)], 1).tolist()
        item = {"label": labels[number % len(labels)], "polygon": polygon}
        objects.append({**objects[0], **item, "id": len(objects), "deleted": int(number < DELETED)})
    path.write_text(json.dumps(annotation, indent=4))


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
