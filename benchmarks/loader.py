"""Training samples per second and core: ours against the transforms of MMSegmentation as they are.

All sides read the same prepared images at the same positions, each in a process of its own, and
take turns of a second. A sample is read, decoded, augmented and packed by the published recipe;
ours is measured from image files, and from images that are kept decoded. Our processes ask for
memory as those do that read for a training.

    python benchmarks/loader.py
"""

import argparse
import copy
import itertools
import json
import tempfile
from pathlib import Path
from typing import Any

from stock import draw, rendered
from turns import Ticks, in_turns

FRAMES = 16
FIRST, EVERY = 48, 8  # samples that are not timed, and between two notes
SECONDS, ENOUGH = 8, 5  # for which each side reads, and its notes at least
# size of the images, and the crop; height and width
CASES = (((1080, 1920), (512, 512)), ((227, 320), (192, 256)))
SIDES = ("segbench, decoded", "segbench, files", "MMSegmentation")


def main() -> None:
    """Measure, and print a table; or be one of the sides."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    job = parser.parse_args().job
    if job:
        read(**job)
    else:
        print(table(measured()))


def measured() -> dict[str, dict[str, float]]:
    """Samples per second of each side, by size of the images and the crop."""
    rates = {}
    for size, crop in CASES:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            draw(folder, size, FRAMES, 2)
            manifest, path = folder / "data/manifest.json", folder / "config.py"
            rendered("fast_scnn", manifest, path, crop_size=crop, batch_size=8, max_iters=100)
            jobs = {side: {"side": side, "config": str(path)} for side in SIDES}
            found = in_turns(__file__, jobs, temporary, SECONDS, ENOUGH)
        rates[f"{size[1]}x{size[0]}, crop {crop[1]}x{crop[0]}"] = found
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
        "Protocol: Fast-SCNN's recipe; each side is one process, and they take turns of a second, "
        f"{SECONDS} seconds each.",
    ])  # fmt: skip


def read(side: str, config: str, folder: str, ticks: str) -> None:
    """Read samples without an end."""
    import cv2
    import torch

    from segbench.system.allocator import keep_freed_memory

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if side != "MMSegmentation":
        keep_freed_memory()
    frames = dataset(side, Path(config), Path(folder))
    notes = Ticks(ticks, first=FIRST, every=EVERY)
    for position in itertools.count():
        frames[position]
        notes.tick()


def dataset(side: str, path: Path, folder: Path) -> Any:
    """The images of a rendered config as one of the sides reads them."""
    from mmseg.registry import DATASETS

    from segbench.engine.build import load_config, training_frames
    from segbench.engine.decoded import kept_decoded
    from segbench.engine.execution import Execution
    from segbench.engine.sampling import PositionedDataset

    config = load_config(path)
    stock = DATASETS.build(copy.deepcopy(config.train_dataloader.dataset))
    if side == "MMSegmentation":
        return PositionedDataset(stock, 0)
    if side == "segbench, files":
        return training_frames(config, 0)
    many = 10**6  # samples, so that keeping them decoded is worth it
    return training_frames(
        config, 0, kept_decoded(stock, folder / "kept", many, Execution(threads=1))
    )


if __name__ == "__main__":
    main()
