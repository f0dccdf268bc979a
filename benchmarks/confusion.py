"""Confusion matrices of large label maps: ours against the counting in MMSegmentation's IoUMetric.

Both sides run on the same maps in one process, in turns; the ratio of the medians is printed. The
stock metric counts with `torch.histc` in float32 and gives per-class sums only; ours gives the
full matrix, in integers.
"""

import statistics
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

import torch
from mmseg.evaluation import IoUMetric
from timing import seconds

from segbench.scores.metrics import confusion_matrix

CLASSES, SIZE, ROUNDS = 26, (1080, 1920), 15


def main() -> None:
    """Measure, and print a table."""
    print(table(measured()))


def measured() -> dict[str, float]:
    """Milliseconds of each side for an image."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES, SIZE, dtype=np.uint8)
    prediction = np.where(rng.random(SIZE) < 0.8, truth, rng.integers(0, CLASSES, SIZE))
    prediction = prediction.astype(np.uint8)
    as_tensors = torch.from_numpy(prediction).long(), torch.from_numpy(truth).long()
    ours, stock = [], []
    for _ in range(ROUNDS):
        ours.append(seconds(lambda: confusion_matrix(truth, prediction, CLASSES)))
        stock.append(seconds(lambda: IoUMetric.intersect_and_union(*as_tensors, CLASSES, 255)))
    return {
        "segbench": 1000 * statistics.median(ours), "IoUMetric": 1000 * statistics.median(stock)
    }  # fmt: skip


def table(found: dict[str, float]) -> str:
    """All figures in Markdown."""
    ours, stock = found["segbench"], found["IoUMetric"]
    return "\n".join([
        "| counted by | ms/image | times | gives |",
        "|:--|--:|--:|:--|",
        f"| segbench | {ours:.1f} | {stock / ours:.1f} | the full matrix, exact |",
        f"| IoUMetric | {stock:.1f} | 1 | sums by class, in float32 |",
        "",
        f"Protocol: {SIZE[1]}x{SIZE[0]} and {CLASSES} classes, medians of {ROUNDS} rounds.",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
