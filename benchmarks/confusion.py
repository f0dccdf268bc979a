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
    """Measure and print the ratio."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES, SIZE, dtype=np.uint8)
    prediction = np.where(rng.random(SIZE) < 0.8, truth, rng.integers(0, CLASSES, SIZE))
    prediction = prediction.astype(np.uint8)
    as_tensors = torch.from_numpy(prediction).long(), torch.from_numpy(truth).long()
    ours, stock = [], []
    for _ in range(ROUNDS):
        ours.append(seconds(lambda: confusion_matrix(truth, prediction, CLASSES)))
        stock.append(seconds(lambda: IoUMetric.intersect_and_union(*as_tensors, CLASSES, 255)))
    a, b = statistics.median(ours), statistics.median(stock)
    print(f"{SIZE[1]}x{SIZE[0]}, {CLASSES} classes, median of {ROUNDS}:")
    print(f"  segbench  {1000 * a:6.1f} ms   full matrix, exact")
    print(f"  IoUMetric {1000 * b:6.1f} ms   per-class sums, float32")
    print(f"  ratio     {b / a:6.1f}")


if __name__ == "__main__":
    main()
