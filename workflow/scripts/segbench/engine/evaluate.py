"""Evaluate a trained model in one pass over the images that are compared on.

The confusion matrix of every image is what is stored; every score derives from these counts, in
`segbench.scores.metrics`. Scores are at the labels' own size. Imports torch and mmseg.
"""

import itertools
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from segbench.datasets.manifest import SPOKEN
from segbench.engine.build import load_config, scoring_loader, trained_model
from segbench.engine.confusion import predictions
from segbench.engine.devices import device_name, lease_device
from segbench.recipe.section import RunSection
from segbench.scores import metrics
from segbench.system.files import sha256_of
from segbench.system.heartbeat import EVALUATION, Pulse, noted_end
from segbench.system.progress import Progress
from segbench.system.run_records import MetricsRecord

LOG = logging.getLogger(__name__)
WARM_UP = 2
PROTOCOL = "all {split} images, single scale, scored at the label's own size"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a prediction costs; the attributes are those of `MetricsRecord`."""

    parameters: int
    flops: int | None
    flops_at: tuple[int, int]
    latency_ms: float
    latency_p90_ms: float
    device: str


def evaluate(
    config_path: Path,
    checkpoint: Path,
    confusion_path: Path,
    metrics_path: Path,
    predictions_path: Path,
    gallery_images: int,
    threads: int,
) -> None:
    """Evaluate a checkpoint and store its counts.

    Args:
        config_path: rendered config of the run.
        checkpoint: its weights.
        confusion_path: `.npz` with `names` and `confusion`, int64 [images, classes, predictions];
            through a class map there is one prediction more, for what has no counterpart.
        metrics_path: JSON with scores, cost and protocol.
        predictions_path: `.npz` with `names` of some frames and, under `0`, `1`, ..., their
            predicted class ids.
        gallery_images: how many predictions to keep as images, spread over the split.
        threads: CPU threads of the network; on a GPU, processes that read images.
    """
    config = load_config(config_path)
    classes = config.val_dataloader.dataset.metainfo.classes
    model = trained_model(config, checkpoint)
    section = RunSection.of(config)
    mapped = section.source.class_map if section.source and section.is_zero_shot else None
    torch.set_num_threads(threads)
    loader = scoring_loader(config, workers=min(4, threads - 1))
    total = len(loader)
    split = Path(config.test_dataloader.dataset.ann_file).stem
    kept = set(np.linspace(0, total - 1, min(gallery_images, total)).round().astype(int).tolist())

    names, counts, seconds, pictures = [], [], [], {}
    progress = Progress(f"evaluate {section.run}", total, "images")
    heartbeat = metrics_path.with_name(EVALUATION)
    with noted_end(heartbeat, section.run), lease_device() as device:
        pulse = Pulse(heartbeat, section.run, "evaluating", total, device_name(device))
        model.to(device)
        for i, predicted in enumerate(predictions(model, loader, len(classes), mapped)):
            names.append(predicted.name)
            counts.append(predicted.counts)
            seconds.append(predicted.seconds)
            if i in kept:
                pictures[predicted.name] = predicted.classes
            progress.step()
            pulse.note(i + 1)
        pulse.flush()
        height, width = predicted.classes.shape
        latency = latencies(seconds[WARM_UP:] or seconds)
        cost = Cost(
            parameters=sum(p.numel() for p in model.parameters()),
            flops=count_flops(model, height, width, device),
            flops_at=(height, width),
            latency_ms=latency[0],
            latency_p90_ms=latency[1],
            device=device_name(device),
        )
    np.savez_compressed(confusion_path, names=np.array(names), confusion=np.stack(counts))
    stored = {str(i): picture for i, picture in enumerate(pictures.values())}
    np.savez_compressed(
        predictions_path, allow_pickle=False, names=np.array(list(pictures)), **stored
    )
    record = score(classes, mapped, np.stack(counts), cost).model_copy(
        update={
            "checkpoint_sha256": sha256_of(checkpoint),
            "confusion_sha256": sha256_of(confusion_path),
            "split": split,
            "protocol": PROTOCOL.format(split=SPOKEN[split]),
        }
    )
    record.write(metrics_path)
    LOG.info("%s: mean IoU %.2f %%", section.run, 100 * record.miou)


def score(
    classes: Sequence[str], mapped: Sequence[int] | None, counts: metrics.Counts, cost: Cost
) -> MetricsRecord:
    """The scores of a run.

    Args:
        classes: names of the classes, by id.
        mapped: class id for each id that the model predicts, where it knows another dataset's.
        counts: confusion matrix of every image, [images, classes, predictions].
        cost: of a prediction.
    """
    summed = counts.sum(0)
    iou = metrics.class_iou(summed)
    reached = [mapped is None or i in mapped for i in range(len(classes))]
    return MetricsRecord(
        **metrics.summary(summed),
        miou_mapped=_plain(float(metrics.mean_over_classes(iou[reached]))),
        unreachable=tuple(itertools.compress(classes, (not one for one in reached))),
        iou={name: _plain(one) for name, one in zip(classes, iou, strict=True)},
        images=len(counts),
        protocol="",
        **asdict(cost),
    )


def latencies(seconds: Sequence[float]) -> tuple[float, float]:
    """The 10th and the 90th percentile of forward passes, in milliseconds.

    Other work on a machine only ever slows a pass down, so a low percentile is close to what the
    model needs, and the distance to a high one tells how busy the machine was.
    """
    low, high = 1000 * np.quantile(seconds, [0.1, 0.9])
    return float(low), float(high)


def count_flops(model: nn.Module, height: int, width: int, device: str) -> int | None:
    """Floating-point operations of one forward pass at an image size, a multiply-add as two.

    Returns:
        The count, or None for a model that torch cannot count.
    """
    from torch.utils.flop_counter import FlopCounterMode

    image = torch.zeros(1, 3, height, width, device=device)
    counter = FlopCounterMode(display=False)
    try:
        with counter, torch.inference_mode():
            model(image, mode="tensor")
    except Exception as error:  # a model's forward is foreign code, and this is only a figure
        LOG.warning("the operations of this model cannot be counted: %s", error)
        return None
    return int(counter.get_total_flops())


def _plain(score: float) -> float | None:
    """A score for JSON, which has no NaN."""
    return None if np.isnan(score) else float(score)
