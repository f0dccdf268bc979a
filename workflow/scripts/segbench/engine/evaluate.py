"""Evaluate a trained model in one pass over the images that are compared on.

Scores are at the labels' own size. Imports torch and mmseg.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from segbench.engine.build import load_config, scoring_loader, trained_model
from segbench.engine.conditions import Condition
from segbench.engine.confusion import predictions
from segbench.engine.counting import Scale
from segbench.engine.devices import device_name, lease_device
from segbench.engine.evaluation_files import Evaluated, EvaluationFiles, Weights, score
from segbench.recipe.section import RunSection
from segbench.system.allocator import keep_freed_memory
from segbench.system.files import sha256_of
from segbench.system.heartbeat import EVALUATION, Pulse, noted_end
from segbench.system.progress import Progress

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
    """
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
            progress.step()
            pulse.note(i + 1)
        pulse.flush()
    split = Path(config.test_dataloader.dataset.ann_file).stem
    weights = Weights(
        parameters=sum(p.numel() for p in model.parameters()),
        checkpoint_bytes=checkpoint.stat().st_size,
        checkpoint_sha256=sha256_of(checkpoint),
    )
    record = score(evaluated, classes, split, HOW, weights, mapped, size)
    evaluated.write(files, record, conditions)
    LOG.info("%s: mean IoU %.2f %%", section.run, 100 * record.miou)
