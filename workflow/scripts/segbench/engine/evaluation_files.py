"""What an evaluation leaves behind: counts of every image, scores, and some predictions.

The confusion matrix of every image is what is stored; every score derives from these counts, in
`segbench.scores.metrics`. Imports neither torch nor mmseg.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from segbench.datasets.manifest import SPOKEN
from segbench.engine.counting import ImageCounts
from segbench.scores import metrics
from segbench.system.files import sha256_of
from segbench.system.run_records import MetricsRecord

Picture = npt.NDArray[np.uint8]  # the bytes of a PNG


@dataclass(frozen=True, slots=True)
class EvaluationFiles:
    """Where an evaluation is stored.

    Attributes:
        confusion: `.npz` with `names`, `confusion`, int64 [images, classes, predictions], and
            `boundary`, int64 [images, classes, 3]; there may be one prediction more than classes,
            for what is no class.
        metrics: JSON with scores and protocol.
        predictions: `.npz` with `names` of the frames and, under `0`, `1`, ..., their predicted
            class ids as PNG files.
        conditions: `.npz` with `names`, `kinds`, `levels` and `confusion`, int64 [conditions,
            images, classes, predictions]; None where nothing is scored under conditions.
    """

    confusion: Path
    metrics: Path
    predictions: Path
    conditions: Path | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights that were evaluated, if there are any; attributes as in `MetricsRecord`."""

    parameters: int | None = None
    checkpoint_bytes: int | None = None
    checkpoint_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Images that were predicted and compared with their labels.

    Attributes:
        names: of the frames.
        counts: what was counted of each.
        worse: the confusion matrices of each under the conditions.
        pictures: predicted class ids of each, as the bytes of a PNG.
    """

    names: list[str] = field(default_factory=list)
    counts: list[ImageCounts] = field(default_factory=list)
    worse: list[list[metrics.Counts]] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

    def add(self, name: str, counts: ImageCounts, picture: Picture) -> None:
        """Add an image with its prediction, as `picture_of` makes it."""
        self.names.append(name)
        self.counts.append(counts)
        self.pictures.append(picture)

    @property
    def confusion(self) -> metrics.Counts:
        """The matrices of all images, [images, classes, predictions]."""
        return np.stack([one.confusion for one in self.counts])

    def write(
        self,
        files: EvaluationFiles,
        record: MetricsRecord,
        conditions: Sequence[tuple[str, float]] = (),
    ) -> None:
        """Store counts and pictures, and the record with the hash of the counts."""
        names = np.array(self.names)
        np.savez_compressed(
            files.confusion,
            names=names,
            confusion=self.confusion,
            boundary=np.stack([one.boundary for one in self.counts]),
        )
        if files.conditions:
            np.savez_compressed(
                files.conditions,
                names=names,
                kinds=np.array([kind for kind, _ in conditions]),
                levels=np.array([level for _, level in conditions]),
                confusion=np.stack(list(map(np.stack, self.worse)), axis=1),
            )
        stored = {str(i): picture for i, picture in enumerate(self.pictures)}
        np.savez(files.predictions, allow_pickle=False, names=names, **stored)
        digests = {
            "confusion_sha256": sha256_of(files.confusion),
            "conditions_sha256": sha256_of(files.conditions) if files.conditions else None,
        }
        record.model_copy(update=digests).write(files.metrics)


def picture_of(classes: npt.NDArray[np.uint8]) -> Picture:
    """Predicted class ids, [height, width], as the bytes of a PNG.

    As they are they would fill the memory with a thousand large images.
    """
    return np.asarray(cv2.imencode(".png", classes)[1])


def score(
    evaluated: Evaluated,
    classes: Sequence[str],
    split: str,
    how: str,
    weights: Weights,
    mapped: Sequence[int] | None = None,
    size: tuple[int, int] | None = None,
) -> MetricsRecord:
    """The scores of a run.

    Args:
        evaluated: its images.
        classes: names of the classes, by id.
        split: that was scored.
        how: each image was predicted, in words.
        weights: with which they were predicted.
        mapped: class id for each id that the model predicts, where it knows another dataset's.
        size: height and width that were scored; None is the label's own.
    """
    summed = evaluated.confusion.sum(0)
    iou = metrics.class_iou(summed)
    reached = [mapped is None or i in mapped for i in range(len(classes))]
    return MetricsRecord(
        **metrics.summary(summed),
        miou_mapped=_plain(float(metrics.mean_over_classes(iou[reached]))),
        unreachable=tuple(itertools.compress(classes, (not one for one in reached))),
        iou={name: _plain(one) for name, one in zip(classes, iou, strict=True)},
        images=len(evaluated.counts),
        split=split,
        protocol=f"all {SPOKEN[split]} images, {how}, {_scored_at(size)}",
        **asdict(weights),
    )


def _scored_at(size: tuple[int, int] | None) -> str:
    if size is None:
        return "scored at the label's own size"
    height, width = size
    return f"scored at {width}x{height}, to which both maps are brought by the nearest neighbour"


def _plain(score: float) -> float | None:
    """A score for JSON, which has no NaN."""
    return None if np.isnan(score) else float(score)
