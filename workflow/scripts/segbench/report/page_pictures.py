"""The images of the interactive page: which are shown, and how they are packed into it.

Reads stored predictions, never a network.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import cv2
import numpy as np
import numpy.typing as npt

from segbench.report.plotting import read_image, read_label
from segbench.report.predictions import StoredPredictions
from segbench.report.results import Candidate
from segbench.scores import metrics

LEAST_SHARE = 0.002  # of an image's pixels that a class takes to be picked by it
WORST, DISPUTED = 2, 6  # images per class, and of those that models disagree on
WIDTHS = (1280, 960, 640, 480, 320, 240)
SAMPLE = 6  # images by which the size of all is estimated
QUALITY = 80
RULE = (
    f"For each class the {WORST} images with its lowest IoU, the median and the best one (mean of "
    f"the models, of images of which it takes {100 * LEAST_SHARE:g} % or more), and the {DISPUTED} "
    "images whose mean IoU differs most between the models."
)


class Picture(TypedDict):
    """An image as the page holds it: pixels and class ids as addresses with the data in them."""

    name: str
    image: str
    truth: str
    predictions: list[str]
    iou: list[list[float | None]]


@dataclass(frozen=True, slots=True)
class Picked:
    """Which images are shown, and why; numbers are rows of the scored images.

    Attributes:
        by_class: for each class its worst, median and best images, by these words.
        disputed: those that models disagree on.
    """

    by_class: list[dict[str, list[int]]]
    disputed: list[int]

    @property
    def rows(self) -> list[int]:
        """All of them, each once, the worst of the classes first."""
        found = [row for one in self.by_class for row in one.get("worst", [])] + self.disputed
        found += [row for one in self.by_class for rows in one.values() for row in rows]
        return list(dict.fromkeys(found))


def pick(candidates: Sequence[Candidate]) -> Picked:
    """Choose images by the scores of the best run of each candidate; see `RULE`."""
    counts = [candidate.best_run.confusion for candidate in candidates]
    truth = counts[0].sum(2)
    shares = truth / np.maximum(1, truth.sum(1, keepdims=True))
    mean = np.mean([metrics.class_iou(one) for one in counts], axis=0)
    by_image = np.array([metrics.mean_iou(one) for one in counts])
    spread = np.nan_to_num(by_image.max(0) - by_image.min(0))
    disputed = np.argsort(-spread, kind="stable")[:DISPUTED].tolist()
    return Picked(
        [_of_class(mean[:, i], shares[:, i]) for i in range(truth.shape[1])],
        [row for row in disputed if spread[row] > 0],
    )


def _of_class(
    iou: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]
) -> dict[str, list[int]]:
    rows = np.flatnonzero(shares >= LEAST_SHARE)
    if not len(rows):
        rows = np.flatnonzero(shares > 0)
    ordered = rows[np.argsort(iou[rows], kind="stable")].tolist()
    if not ordered:
        return {}
    middle, last = ordered[len(ordered) // 2], ordered[-1]
    return {"worst": ordered[:WORST], "median": [middle], "best": [last]}


def packed(
    candidates: Sequence[Candidate], dataset: Path, split: str, rows: Sequence[int], budget: int
) -> list[Picture]:
    """The images, as large as the budget allows, and the first of them where even that is too much.

    Args:
        candidates: best first.
        dataset: folder of the prepared dataset.
        split: that was scored.
        rows: of the images.
        budget: bytes that all of them may take.
    """
    stored = [StoredPredictions(one.best_run.folder / "predictions.npz") for one in candidates]
    names = candidates[0].best_run.names
    shown = [names[row] for row in rows]
    for width in WIDTHS:
        sample = _sizes(dataset, split, shown[:: max(1, len(shown) // SAMPLE)], stored, width)
        if np.mean([*sample, 0][: max(1, len(sample))]) * len(shown) <= budget:
            break
    found, used = list[Picture](), 0
    for row, name in zip(rows, shown, strict=True):
        parts = _encoded(dataset, split, name, stored, width)
        used += sum(map(len, parts))
        if used > budget:
            break
        image, truth, *predictions = parts
        found.append(
            Picture(
                name=name,
                image=image,
                truth=truth,
                predictions=predictions,
                iou=[plain(metrics.class_iou(one.best_run.confusion[row])) for one in candidates],
            )
        )
    return found


def plain(scores: metrics.Scores) -> list[float | None]:
    """Scores for JSON, which has no NaN, in four digits."""
    return [None if np.isnan(score) else round(float(score), 4) for score in scores]


def _sizes(
    dataset: Path, split: str, names: Sequence[str], stored: Sequence[StoredPredictions], width: int
) -> list[int]:
    return [sum(map(len, _encoded(dataset, split, name, stored, width))) for name in names]


def _encoded(
    dataset: Path, split: str, name: str, stored: Sequence[StoredPredictions], width: int
) -> list[str]:
    """Image, truth and each prediction as addresses that hold the data."""
    predicted = [one[name] for one in stored]
    size_there = (predicted[0].shape[0], predicted[0].shape[1])
    truth = read_label(dataset, split, name, size_there)
    image = read_image(dataset, split, name, size_there)
    scale = min(1.0, width / image.shape[1])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = cv2.resize(image[:, :, ::-1], size, interpolation=cv2.INTER_AREA)
    pixels = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return [_address("jpeg", pixels.tobytes()), *_maps([truth, *predicted], size)]


def _maps(maps: Sequence[npt.NDArray[np.uint8]], size: tuple[int, int]) -> Iterator[str]:
    for ids in maps:
        small = cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST)
        yield _address("png", cv2.imencode(".png", small)[1].tobytes())


def _address(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
