"""What an evaluation leaves behind: counts of every image, scores, and some predictions.

The confusion matrix of every image is what is stored; every score derives from these counts, in
`segbench.scores.metrics`. Imports neither torch nor mmseg.
"""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from segbench.datasets.manifest import SPOKEN
from segbench.scores import metrics
from segbench.system.files import sha256_of
from segbench.system.run_records import MetricsRecord


@dataclass(frozen=True, slots=True)
class EvaluationFiles:
    """Where an evaluation is stored.

    Attributes:
        confusion: `.npz` with `names` and `confusion`, int64 [images, classes, predictions];
            there may be one prediction more than classes, for what is no class.
        metrics: JSON with scores, cost and protocol.
        predictions: `.npz` with `names` of some frames and, under `0`, `1`, ..., their predicted
            class ids.
    """

    confusion: Path
    metrics: Path
    predictions: Path


@dataclass(frozen=True, slots=True)
class Cost:
    """What a prediction costs, as far as it is known; attributes as in `MetricsRecord`."""

    parameters: int | None = None
    flops: int | None = None
    flops_at: tuple[int, int] | None = None
    latency_ms: float | None = None
    latency_p90_ms: float | None = None
    device: str = ""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Images that were predicted and compared with their labels.

    Attributes:
        names: of the frames.
        counts: confusion matrix of each.
        pictures: predicted class ids of those that are shown, by name.
    """

    names: list[str] = field(default_factory=list)
    counts: list[metrics.Counts] = field(default_factory=list)
    pictures: dict[str, npt.NDArray[np.uint8]] = field(default_factory=dict)

    def write(self, files: EvaluationFiles, record: MetricsRecord) -> None:
        """Store counts and pictures, and the record with the hash of the counts."""
        np.savez_compressed(
            files.confusion, names=np.array(self.names), confusion=np.stack(self.counts)
        )
        stored = {str(i): picture for i, picture in enumerate(self.pictures.values())}
        np.savez_compressed(
            files.predictions, allow_pickle=False, names=np.array(list(self.pictures)), **stored
        )
        digest = sha256_of(files.confusion)
        record.model_copy(update={"confusion_sha256": digest}).write(files.metrics)


def shown_rows(total: int, gallery_images: int) -> set[int]:
    """Which of the images are kept as pictures: so many, spread over the split."""
    places = np.linspace(0, total - 1, min(gallery_images, total))
    return set(places.round().astype(int).tolist())


def score(
    evaluated: Evaluated,
    classes: Sequence[str],
    split: str,
    how: str,
    cost: Cost,
    mapped: Sequence[int] | None = None,
    checkpoint_sha256: str | None = None,
) -> MetricsRecord:
    """The scores of a run.

    Args:
        evaluated: its images.
        classes: names of the classes, by id.
        split: that was scored.
        how: each image was predicted, in words.
        cost: of a prediction.
        mapped: class id for each id that the model predicts, where it knows another dataset's.
        checkpoint_sha256: of the weights, if there are any.
    """
    summed = np.stack(evaluated.counts).sum(0)
    iou = metrics.class_iou(summed)
    reached = [mapped is None or i in mapped for i in range(len(classes))]
    return MetricsRecord(
        **metrics.summary(summed),
        miou_mapped=_plain(float(metrics.mean_over_classes(iou[reached]))),
        unreachable=tuple(itertools.compress(classes, (not one for one in reached))),
        iou={name: _plain(one) for name, one in zip(classes, iou, strict=True)},
        images=len(evaluated.counts),
        split=split,
        protocol=f"all {SPOKEN[split]} images, {how}, scored at the label's own size",
        checkpoint_sha256=checkpoint_sha256,
        **asdict(cost),
    )


def _plain(score: float) -> float | None:
    """A score for JSON, which has no NaN."""
    return None if np.isnan(score) else float(score)
