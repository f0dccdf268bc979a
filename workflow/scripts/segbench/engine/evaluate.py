"""Evaluate a trained model in one pass over the images that are compared on.

Scores are at the labels' own size. Imports torch and mmseg.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from segbench.engine.build import load_config, scoring_loader, trained_model
from segbench.engine.conditions import Condition
from segbench.engine.confusion import predictions
from segbench.engine.counting import Scale
from segbench.engine.devices import device_name, lease_device
from segbench.engine.evaluation_files import Cost, Evaluated, EvaluationFiles, score
from segbench.recipe.section import RunSection
from segbench.system.files import sha256_of
from segbench.system.heartbeat import EVALUATION, Pulse, noted_end
from segbench.system.progress import Progress

LOG = logging.getLogger(__name__)
WARM_UP = 2
HOW = "single scale"


def evaluate(
    config_path: Path,
    checkpoint: Path,
    files: EvaluationFiles,
    threads: int,
    size: tuple[int, int] | None = None,
    conditions: Sequence[Condition] = (),
) -> None:
    """Evaluate a checkpoint and store its counts.

    Args:
        config_path: rendered config of the run.
        checkpoint: its weights.
        files: where to store it.
        threads: CPU threads of the network; on a GPU, processes that read images.
        size: height and width at which maps are compared; None is the label's own.
        conditions: kind and level of each condition under which every image is scored as well.
    """
    config = load_config(config_path)
    classes = config.val_dataloader.dataset.metainfo.classes
    model = trained_model(config, checkpoint)
    section = RunSection.of(config)
    mapped = section.source.class_map if section.source and section.is_zero_shot else None
    torch.set_num_threads(threads)
    loader = scoring_loader(config, workers=min(4, threads - 1), conditions=conditions)
    scale = Scale(len(classes), int(mapped is not None), size)

    evaluated, seconds = Evaluated(), list[float]()
    progress = Progress(f"evaluate {section.run}", len(loader), "images")
    heartbeat = files.metrics.with_name(EVALUATION)
    with noted_end(heartbeat, section.run), lease_device() as device:
        pulse = Pulse(heartbeat, section.run, "evaluating", len(loader), device_name(device))
        model.to(device)
        for i, predicted in enumerate(predictions(model, loader, len(classes), mapped)):
            counts = scale.count(predicted.truth, predicted.classes)
            evaluated.add(predicted.name, counts, predicted.classes)
            if conditions:
                evaluated.worse.append(
                    [scale.confusion(predicted.truth, one) for one in predicted.worse]
                )
            seconds.append(predicted.seconds)
            progress.step()
            pulse.note(i + 1)
        pulse.flush()
        height, width = predicted.classes.shape
        cost = _cost(model, height, width, seconds, device)
    split = Path(config.test_dataloader.dataset.ann_file).stem
    digest = sha256_of(checkpoint)
    record = score(evaluated, classes, split, HOW, cost, mapped, digest, size)
    evaluated.write(files, record, conditions)
    LOG.info("%s: mean IoU %.2f %%", section.run, 100 * record.miou)


def _cost(model: nn.Module, height: int, width: int, seconds: Sequence[float], device: str) -> Cost:
    low, high = latencies(seconds[WARM_UP:] or seconds)
    return Cost(
        parameters=sum(p.numel() for p in model.parameters()),
        flops=count_flops(model, height, width, device),
        flops_at=(height, width),
        latency_ms=low,
        latency_p90_ms=high,
        device=device_name(device),
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
