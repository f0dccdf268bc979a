"""Take a source checkpoint as it is, for a run in which nothing is trained. Imports torch."""

import logging
from pathlib import Path

import torch

from segbench.engine.build import build_model, load_config
from segbench.engine.record import write_record
from segbench.engine.state import TrainingState
from segbench.errors import ModelError
from segbench.recipe.section import RunSection
from segbench.system.run_records import write_history

LOG = logging.getLogger(__name__)


def take(config_path: Path, folder: Path) -> None:
    """Bring the checkpoint of a `zero_shot` run into the form of a trained one.

    Args:
        config_path: rendered config of the run.
        folder: receives `best.pth`, `history.csv` and `train.json`.

    Raises:
        ModelError: the checkpoint is not there, or does not hold every weight of the model.
    """
    config = load_config(config_path)
    model, report = build_model(config, config.randomness.seed)
    section = RunSection.of(config)
    if section.source is None:
        raise ModelError(f"{config_path}: names no checkpoint to take")
    if report is None:
        raise ModelError(f"{section.source.checkpoint}: no such checkpoint")
    meta = {"iteration": 0, "dataset_meta": {"classes": list(section.source.classes)}}
    torch.save({"state_dict": model.state_dict(), "meta": meta}, folder / "best.pth")
    write_history(folder / "history.csv", [])
    write_record(
        folder / "train.json",
        config,
        TrainingState(),
        model,
        "cpu",
        came_from=None,
        weights=f"{section.source.checkpoint}: {report.sentence()}",
    )
    LOG.info("%s: nothing is trained", section.run)
