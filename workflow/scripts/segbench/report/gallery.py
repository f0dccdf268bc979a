"""Predictions beside the image and the truth, in the colours of the classes.

Reads stored predictions, never a network.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

from segbench.datasets.manifest import Manifest
from segbench.report.plotting import class_handles, color_table, read_image, read_label
from segbench.report.predictions import StoredPredictions
from segbench.report.results import Candidate
from segbench.scores import metrics

CELL_WIDTH, DPI = 3.0, 110


def draw_gallery(
    path: Path,
    candidates: Sequence[Candidate],
    dataset: Path,
    manifest: Manifest,
    title: str,
    images: int,
) -> None:
    """Write a picture with a row per image: image, truth, and each candidate's best seed.

    Args:
        path: of the PNG.
        candidates: best first.
        dataset: folder of the prepared dataset.
        manifest: its manifest.
        title: of the figure.
        images: how many, spread over the split.
    """
    stored = [
        StoredPredictions(candidate.best_run.folder / "predictions.npz") for candidate in candidates
    ]
    names = _spread(stored[0].names, images)
    colors = color_table(manifest)
    # the initialization on a line of its own, so that long names fit their column
    labels = [candidate.label.replace(" (", "\n(") for candidate in candidates]
    columns = ["image", "truth", *labels]
    height, width = stored[0][names[0]].shape
    cell = (CELL_WIDTH, CELL_WIDTH * height / width)
    figure, grid = plt.subplots(
        len(names), len(columns), squeeze=False, layout="constrained",
        figsize=(cell[0] * len(columns), (cell[1] + 0.28) * len(names) + 1.0),
    )  # fmt: skip
    for row, name in enumerate(names):
        truth = read_label(dataset, manifest.scored_split, name, (height, width))
        image = read_image(dataset, manifest.scored_split, name, (height, width))
        pictures = [image, colors[truth]]
        pictures += [colors[one[name]] for one in stored]
        for column, picture in enumerate(pictures):
            axes = grid[row, column]
            axes.imshow(_fitted(picture), aspect="auto")
            axes.set_axis_off()
            if row == 0:
                axes.set_title(columns[column], fontsize=12, pad=16 if column > 1 else 6)
            if column > 1:
                score = _score(truth, stored[column - 2][name], manifest)
                axes.text(
                    0.5, 1.01, f"mean IoU {score:.0f} %",
                    transform=axes.transAxes, ha="center", va="bottom", fontsize=9, color="#52606d",
                )  # fmt: skip
    handles = class_handles(manifest)
    figure.legend(
        handles=handles, loc="outside lower left", ncols=min(len(handles), 2 * len(columns)),
        frameon=False, fontsize=10,
    )  # fmt: skip
    figure.suptitle(title, x=0.005, ha="left")
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def _fitted(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A picture of no more pixels than its cell shows: many models are many pictures at once."""
    height, width = picture.shape[:2]
    shown = round(CELL_WIDTH * DPI)
    if width <= shown:
        return picture
    size = (shown, max(1, round(height * shown / width)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def _spread(names: Sequence[str], images: int) -> list[str]:
    """So many of the names, spread over all of them."""
    places = np.linspace(0, len(names) - 1, min(images, len(names))).round().astype(int)
    return [names[i] for i in dict.fromkeys(places.tolist())]


def _score(
    truth: npt.NDArray[np.uint8], predicted: npt.NDArray[np.uint8], manifest: Manifest
) -> float:
    """Mean IoU of one image, in per cent."""
    # a zero-shot prediction may have no counterpart among the classes
    counts = metrics.confusion_matrix(truth, predicted, len(manifest.classes), more_predictions=1)
    return 100 * float(metrics.mean_iou(counts))
