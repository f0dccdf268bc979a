"""What a training leaves behind beside its weights: curves, and where they came from.

Imports torch.
"""

import contextlib
import os
import re
import socket
from datetime import UTC, datetime
from pathlib import Path

import torch
from mmengine.config import Config
from torch import nn

from segbench.engine.devices import device_in_words, peak_bytes
from segbench.engine.state import TrainingState
from segbench.recipe.section import RunSection
from segbench.system.files import sha256_of
from segbench.system.heartbeat import NAME, read_heartbeat
from segbench.system.provenance import CameFrom, package_versions
from segbench.system.run_records import Session, TrainRecord

DRIVER = Path("/proc/driver/nvidia/version")


def note_start(state: TrainingState, device: str) -> None:
    """Note which process trains from here on."""
    now = _now()
    state.sessions.append(
        {
            "host": socket.gethostname(),
            "device": device_in_words(device),
            "job": os.environ.get("SLURM_JOB_ID", ""),
            "began": now,
            "from_iteration": state.iteration,
            "until": now,
            "to_iteration": state.iteration,
        }
    )


def note_progress(state: TrainingState) -> None:
    """Note how far the process has come; what follows is lost if it is killed."""
    state.sessions[-1] |= {"until": _now(), "to_iteration": state.iteration}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def write_record(
    path: Path,
    config: Config,
    state: TrainingState,
    model: nn.Module,
    device: str,
    *,
    came_from: CameFrom | None,
    weights: str,
) -> None:
    """Write `train.json`: where a run came from, what it did and what it cost.

    Args:
        path: of the file.
        config: rendered config of the run.
        state: at the end of the training.
        model: what was trained.
        device: where.
        came_from: everything that shapes the training; None where nothing was trained.
        weights: what was loaded at the start, in a sentence.
    """
    section, optimizer = RunSection.of(config), config.optim_wrapper.optimizer
    trained = state.iteration > 0
    TrainRecord(
        run=section.run,
        seed=config.randomness.seed,
        initialization=section.initialization,
        classes=_predicted_classes(section, config),
        source_classes=section.source.classes if section.source else None,
        dataset=section.dataset,
        iterations=state.iteration,
        planned_iterations=config.train_cfg.max_iters if trained else 0,
        best_iteration=state.best_iteration,
        best_val_miou=state.best if trained else None,
        crop_size=section.crop_size,
        batch_size=section.batch_size,
        learning_rate=optimizer.lr if trained else None,
        optimizer=optimizer.type if trained else None,
        precision=state.precision or "float32",
        compiled=section.compile and trained,
        ema=section.ema,
        growing_crop=section.growing_crop if trained else None,
        adaptations=section.adaptations,
        device=device_in_words(device),
        train_minutes=state.seconds / 60,
        validation_minutes=_validation_minutes(path.with_name(NAME)) if trained else None,
        peak_memory_mb=peak_bytes(device) / 2**20 if trained else None,
        parameters=sum(p.numel() for p in model.parameters()),
        versions=package_versions(),
        digest=came_from.digest if came_from else None,
        weights=weights,
        driver=_driver(device),
        dataset_sha256=came_from.dataset if came_from else None,
        config_sha256=came_from.config if came_from else None,
        weights_sha256=came_from.weights if came_from else None,
        checkpoint_sha256=sha256_of(path.with_name("best.pth")),
        sessions=tuple(Session.model_validate(one) for one in state.sessions),
    ).write(path)


def _predicted_classes(section: RunSection, config: Config) -> tuple[str, ...]:
    if section.is_zero_shot and section.source is not None:
        return section.source.classes
    return tuple(config.val_dataloader.dataset.metainfo.classes)


def _validation_minutes(path: Path) -> float | None:
    """What the heartbeat of a training says of its validations."""
    last = read_heartbeat(path)
    return None if last is None else last.validation_seconds / 60


def _driver(device: str) -> str | None:
    """Versions of the GPU's driver, as far as Linux tells it, CUDA and cuDNN."""
    if device == "cpu":
        return None
    libraries = f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]
    with contextlib.suppress(OSError):
        found = re.search(r"Kernel Module\S*\s.*?(\d+\.\d[\d.]*)", DRIVER.read_text())
        return f"driver {found[1]}, {libraries}" if found else libraries
    return libraries
