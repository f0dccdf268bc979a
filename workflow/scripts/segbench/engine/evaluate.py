"""Evaluate a trained model in one pass over the images that are compared on.

Scores are at the labels' own size. Imports torch and mmseg.
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from segbench.engine.build import load_config, ready_on, scoring_loader, trained_model
from segbench.engine.conditions import Condition
from segbench.engine.confusion import Prediction, predictions
from segbench.engine.counting import ImageCounts, Scale
from segbench.engine.devices import device_name, lease_device
from segbench.engine.evaluation_files import (
    Evaluated,
    EvaluationFiles,
    Picture,
    Weights,
    picture_of,
    score,
)
from segbench.engine.shortcuts.take import take_shortcuts
from segbench.recipe.section import RunSection
from segbench.scores import metrics
from segbench.system.allocator import keep_freed_memory
from segbench.system.heartbeat import EVALUATION, Pulse, noted_end
from segbench.system.pools import in_background
from segbench.system.progress import Progress
from segbench.system.run_records import confirmed_digest

LOG = logging.getLogger(__name__)
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

    Raises:
        DataError: the weights are not those that the training wrote.
    """
    digest = confirmed_digest(checkpoint)
    config = load_config(config_path)
    classes = config.val_dataloader.dataset.metainfo.classes
    model = trained_model(config, checkpoint)
    section = RunSection.of(config)
    mapped = section.source.class_map if section.source and section.is_zero_shot else None
    keep_freed_memory()
    torch.set_num_threads(threads)
    loader = scoring_loader(config, workers=min(4, threads - 1), conditions=conditions)
    scale = Scale(len(classes), int(mapped is not None), size)

    evaluated = Evaluated()
    images = len(loader.dataset)  # type: ignore[arg-type]
    progress = Progress(f"evaluate {section.run}", images, "images")
    heartbeat = files.metrics.with_name(EVALUATION)
    with noted_end(heartbeat, section.run), lease_device() as device:
        pulse = Pulse(heartbeat, section.run, "evaluating", images, device_name(device))
        ready_on(device, take_shortcuts(model))
        found = predictions(model, loader, len(classes), mapped)
        for i, done in enumerate(in_background(partial(_counted, scale), found)):
            name, counts, picture, worse = done
            evaluated.add(name, counts, picture)
            if conditions:
                evaluated.worse.append(worse)
            progress.step()
            pulse.note(i + 1)
        pulse.flush()
    split = Path(config.test_dataloader.dataset.ann_file).stem
    weights = Weights(
        parameters=sum(p.numel() for p in model.parameters()),
        checkpoint_bytes=checkpoint.stat().st_size,
        checkpoint_sha256=digest,
    )
    record = score(evaluated, classes, split, HOW, weights, mapped, size)
    evaluated.write(files, record, conditions)
    LOG.info("%s: mean IoU %.2f %%", section.run, 100 * record.miou)


def _counted(
    scale: Scale, predicted: Prediction
) -> tuple[str, ImageCounts, Picture, list[metrics.Counts]]:
    """An image's name, its counts, its prediction, and its matrices under the conditions."""
    return (
        predicted.name,
        scale.count(predicted.truth, predicted.classes),
        picture_of(predicted.classes),
        [scale.confusion(predicted.truth, one) for one in predicted.worse],
    )
