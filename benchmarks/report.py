"""What a large comparison takes to be written: 12 models, 26 classes, 1,000 images by default.

Frames of 1280x720 are drawn and prepared with IDD's 26 classes; a model's predictions are the
truth, moved by some pixels, with patches of other classes. Tables, figures and page are then
written as the workflow writes them, each in a process of its own.

    python benchmarks/report.py [--models 3 12 50] [--images 200] [--keep FOLDER]
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

import cv2
from timing import seconds

from segbench.datasets.description import load_description
from segbench.datasets.manifest import Manifest
from segbench.datasets.prepare import prepare
from segbench.demo.dataset import draw_dataset
from segbench.engine.counting import ImageCounts, Scale
from segbench.engine.evaluation_files import (
    Evaluated,
    EvaluationFiles,
    Weights,
    picture_of,
    score,
)
from segbench.report.compare import write_figures, write_tables
from segbench.report.comparison import Comparison
from segbench.report.page import write_page
from segbench.report.plotting import read_label
from segbench.system.pools import process_pool
from segbench.system.run_records import CostRecord, TrainRecord, write_history

ROOT = Path(__file__).parents[1]
MODELS = [
    "deeplabv3plus_r50_imagenet_crop512_long_name", "deeplabv3plus_r18", "segformer_mit_b0",
    "segformer_mit_b2", "pidnet_small", "pidnet_medium", "bisenetv1_r18", "bisenetv2",
    "fast_scnn", "ddrnet_23_slim", "stdc1", "upernet_swin_tiny_patch4_window7",
]  # fmt: skip
DRAWN, SIZE = 40, (720, 1280)
PARTS = ("tables", "figures", "page")


def main() -> None:
    """Make the results once, and print time, memory and size of each part of the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, help="folder in which the results stay")
    parser.add_argument("--models", type=int, nargs="+", default=[len(MODELS)])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        write_part(options.part, options.keep, names_of(*options.models))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = (options.keep or Path(temporary)).absolute()
        if not (folder / "results/big/tables").is_dir():
            work = partial(make_results, folder, options.images, names_of(max(options.models)))
            print(f"made in {seconds(work):.0f} s, not measured")
        for count in options.models:
            print(f"{count} models, {options.images} images")
            measure(folder, count)


def measure(folder: Path, count: int) -> None:
    """Write the report of some models, and print what it takes."""
    for part in PARTS:
        command = [sys.executable, __file__, "--keep", str(folder), "--part", part]
        command += ["--models", str(count)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"  {part:8s} {done.stdout.strip()}", flush=True)
    print(f"  page     {(folder / 'results/big/index.html').stat().st_size / 1e6:.1f} MB")


def names_of(count: int) -> list[str]:
    """So many names of models."""
    rounds = -(-count // len(MODELS))
    names = [f"{name}_{i}" if i else name for i in range(rounds) for name in MODELS]
    return names[:count]


def write_part(part: str, folder: Path, models: list[str]) -> None:
    """Write a part, and print its time and the most memory that it took."""
    results, dataset = folder / "results/big", folder / "results/datasets/idd20k2"
    compared = Comparison.read(
        [(model, "imagenet", 0, None) for model in models],
        [results / f"runs/{model}/imagenet/seed0" for model in models],
        dataset,
        [(one.name, one.color) for one in Manifest.read(dataset / "manifest.json").classes],
        experiment="big",
    )
    figures = [(path, path.stem, path.stem) for path in sorted((results / "figures").glob("*.svg"))]
    work = {
        "tables": lambda: write_tables(compared, results / "tables"),
        "figures": lambda: write_figures(
            compared, results / "figures", results / "gallery/predictions.png", dataset, 6
        ),
        "page": lambda: write_page(
            compared, results / "index.html", dataset, ROOT / "workflow/report/page", figures
        ),
    }
    taken = seconds(work[part])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{taken:6.1f} s, {most:5.0f} MB of memory")


def make_results(folder: Path, images: int, models: list[str]) -> None:
    """Draw and prepare the images, and leave what evaluations would leave."""
    draw(folder / "source", images)
    dataset = folder / "results/datasets/idd20k2"
    description = load_description(ROOT / "config/datasets/idd20k2.yaml")
    prepare(description, folder / "source", dataset, os.cpu_count() or 1)
    results = folder / "results/big"
    for name in ("tables", "figures", "gallery"):
        (results / name).mkdir(parents=True, exist_ok=True)
    with process_pool(os.cpu_count() or 1) as pool:
        list(pool.map(partial(evaluate, results=results, dataset=dataset), enumerate(models)))


def draw(source: Path, images: int) -> None:
    """Some frames, copied under other names to the wanted number."""
    draw_dataset(source, "urban", 8, DRAWN, SIZE, workers=os.cpu_count() or 1)
    frames = sorted((source / "leftImg8bit/val").rglob("*.jpg"))
    for number in range(images - DRAWN):
        image = frames[number % DRAWN]
        stem = image.name.removesuffix("_leftImg8bit.jpg")
        label = source / "gtFine/val" / image.parent.name / f"{stem}_gtFine_polygons.json"
        for path, kind in ((image, "leftImg8bit"), (label, "gtFine")):
            target = source / kind / "val" / f"copy{number // 50}" / f"{number}_{path.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def evaluate(numbered: tuple[int, str], results: Path, dataset: Path) -> None:
    """Leave the files of a run of a model."""
    (number, model), manifest = numbered, Manifest.read(dataset / "manifest.json")
    folder = results / f"runs/{model}/imagenet/seed0"
    folder.mkdir(parents=True, exist_ok=True)
    scale, rng = Scale(len(manifest.classes)), np.random.default_rng(number)
    names = (dataset / "splits/val.txt").read_text().split()
    evaluated, known = Evaluated(), dict[bytes, tuple[ImageCounts, np.ndarray]]()
    for name in names:
        truth = read_label(dataset, "val", name)
        key = truth.tobytes()
        if key not in known:  # the copies of a frame
            predicted = guessed(truth, number, rng)
            known[key] = scale.count(truth, predicted), picture_of(predicted)
        evaluated.add(name, *known[key])
    paths = (folder / name for name in ("confusion.npz", "metrics.json", "predictions.npz"))
    weights = Weights(4_000_000 * (number + 1), 16_000_000 * (number + 1))
    record = score(evaluated, manifest.class_names, "val", "single scale", weights)
    evaluated.write(EvaluationFiles(*paths), record)
    cost = CostRecord(
        parameters=weights.parameters or 0, flops=10**9 * (number + 2), size=SIZE,
        latency_ms=4.0 * (number + 1), latency_p95_ms=5.0 * (number + 1), passes=50, memory_mb=900,
        batch_size=8, images_per_second=400 / (number + 1), batch_memory_mb=3000, device="none",
    )  # fmt: skip
    cost.write(folder.parents[1] / "cost.json")
    iterations = np.arange(800, 80_001, 800)
    curve = record.miou * (1 - np.exp(-iterations / 15_000))
    write_history(folder / "history.csv", [
        {"iteration": int(i), "loss": 2.0 * np.exp(-i / 30_000), "learning_rate": 0.01,
         "val_miou": float(v), "val_aacc": float(v), "val_macc": float(v)}
        for i, v in zip(iterations, curve, strict=True)
    ])  # fmt: skip
    TrainRecord(
        run=f"{model}/imagenet/seed0", seed=0, initialization="imagenet", dataset="idd20k2",
        classes=manifest.class_names, iterations=80_000, planned_iterations=80_000,
        best_iteration=80_000, best_val_miou=record.miou, crop_size=(512, 512), batch_size=8,
        learning_rate=0.01, optimizer="SGD", precision="float32", device="none",
        train_minutes=300.0, peak_memory_mb=9000, versions={"torch": "2"}, validation_minutes=20,
    ).write(folder / "train.json")  # fmt: skip


def guessed(truth: np.ndarray, number: int, rng: np.random.Generator) -> np.ndarray:
    """A prediction that is worse for a higher number of the model."""
    predicted = np.roll(truth, 2 + number, axis=1)
    predicted[predicted == 255] = 0
    present = np.unique(predicted)
    for _ in range(10 + 6 * number):
        y, x = int(rng.integers(SIZE[0])), int(rng.integers(SIZE[1]))
        radius, wrong = int(rng.integers(8, 50)), int(rng.choice(present))
        cv2.circle(predicted, (x, y), radius, wrong, -1)
    return predicted


if __name__ == "__main__":
    main()
