"""Training samples per second and core: ours against the transforms of MMSegmentation as they are.

All sides read the same prepared images at the same positions, in one process, in turns; medians of
the rounds are printed. A sample is read, decoded, augmented and packed by the published recipe;
ours is measured from image files, and from images that are kept decoded.

    python benchmarks/loader.py
"""

import copy
import os
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

import cv2
from mmseg.registry import DATASETS
from timing import seconds

from segbench.config.training import Training
from segbench.datasets.description import load_description
from segbench.datasets.prepare import prepare
from segbench.demo.dataset import draw_dataset
from segbench.engine.build import load_config, training_frames
from segbench.engine.decoded import kept_decoded
from segbench.engine.execution import Execution
from segbench.engine.sampling import PositionedDataset
from segbench.recipe.context import Recipe
from segbench.recipe.render import render
from segbench.zoo.names import config_path

ROOT = Path(__file__).parents[1]
MODEL = "fast_scnn_8xb4-160k_cityscapes-512x1024"
FRAMES, SAMPLES, ROUNDS = 16, 48, 5
# size of the images, and the crop; height and width
CASES = (((1080, 1920), (512, 512)), ((227, 320), (192, 256)))


def main() -> None:
    """Measure, and print a table."""
    print(table(measured()))


def measured() -> dict[str, dict[str, float]]:
    """Samples per second of each side, by size of the images and the crop."""
    cv2.setNumThreads(1)
    rates = {}
    for size, crop in CASES:
        with tempfile.TemporaryDirectory() as temporary:
            sides = datasets(Path(temporary), size, crop)
            found: dict[str, list[float]] = {name: [] for name in sides}
            for number in range(ROUNDS):
                positions = range(number * SAMPLES, (number + 1) * SAMPLES)
                for name, frames in sides.items():
                    taken = seconds(lambda: [frames[i] for i in positions])  # noqa: B023
                    found[name].append(SAMPLES / taken)
        case = f"{size[1]}x{size[0]}, crop {crop[1]}x{crop[0]}"
        rates[case] = {name: statistics.median(one) for name, one in found.items()}
    return rates


def table(rates: dict[str, dict[str, float]]) -> str:
    """All figures in Markdown."""
    rows = [
        f"| {case} | {name} | {rate:.1f} | {rate / sides['MMSegmentation']:.2f} |"
        for case, sides in rates.items()
        for name, rate in sides.items()
    ]
    return "\n".join([
        "| images | read by | samples/s and core | times |",
        "|:--|:--|--:|--:|",
        *rows,
        "",
        f"Protocol: one process, Fast-SCNN's recipe, medians of {ROUNDS} rounds of {SAMPLES} "
        "samples, which the sides take in turns.",
    ])  # fmt: skip


def datasets(
    folder: Path, size: tuple[int, int], crop: tuple[int, int]
) -> dict[str, PositionedDataset]:
    """The same prepared images with our transforms, and with those of the rendered config."""
    draw_dataset(folder / "source", "urban", FRAMES, 2, size, workers=os.cpu_count() or 1)
    description = load_description(ROOT / "config/datasets/demo_urban.yaml")
    prepare(description, folder / "source", folder / "data", os.cpu_count() or 1)
    training = Training.model_validate({"crop_size": crop, "batch_size": 8, "max_iters": 100})
    recipe = Recipe(training=training, run="m/scratch/seed0", initialization="scratch", seed=0)
    path = folder / "config.py"
    path.write_text(render(config_path(MODEL), folder / "data/manifest.json", recipe))
    config = load_config(path)
    stock = DATASETS.build(copy.deepcopy(config.train_dataloader.dataset))
    kept = kept_decoded(
        stock, folder / "kept", FRAMES * ROUNDS, Execution(threads=os.cpu_count() or 1)
    )
    return {
        "segbench, decoded": training_frames(config, 0, kept),
        "segbench, files": training_frames(config, 0),
        "MMSegmentation": PositionedDataset(stock, 0),
    }


if __name__ == "__main__":
    main()
