"""Train one run from a rendered config, once, wherever it is asked for. Imports torch and mmseg.

The state lives in a work folder keyed by the digest of everything that shapes the run, and the
results are hard links into it. Training again what is finished costs nothing.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from segbench.engine.build import backbone_weights, load_config
from segbench.engine.deterministic import use_deterministic_kernels
from segbench.engine.devices import lease_devices
from segbench.engine.execution import Execution
from segbench.engine.processes import ALONE, Processes
from segbench.engine.shortcuts.take import leave_out_accuracies
from segbench.engine.trainer import Trainer
from segbench.errors import DataError
from segbench.recipe.section import RunSection
from segbench.system.allocator import keep_freed_memory
from segbench.system.files import alone, place
from segbench.system.heartbeat import NAME, Pulse, link_heartbeat, noted_end
from segbench.system.logs import log_file
from segbench.system.provenance import CameFrom, where_from
from segbench.system.run_records import TrainRecord, confirmed_digest
from segbench.system.stop import StopRequest

LOG = logging.getLogger(__name__)
WEIGHTS = "best.pth"
RESULTS = (WEIGHTS, "history.csv", "train.json")


def train(
    config_path: Path,
    manifest_path: Path,
    folder: Path,
    work: Path,
    code: str,
    execution: Execution,
) -> None:
    """Train a run to its end, or go on with one that was interrupted.

    Args:
        config_path: rendered config.
        manifest_path: `manifest.json` of the prepared dataset.
        folder: receives `best.pth`, `history.csv` and `train.json`.
        work: folder for states of unfinished trainings, of any number of runs.
        code: digest of the code that shapes a training.
        execution: how it is carried out.

    Raises:
        DataError: the manifest is damaged or of another version.
        ModelError: the model cannot be built, the loss is no longer a number, or the disk is full.
        StoppedError: a signal asked for the end; the state is saved.
    """
    trained = train_in_work(config_path, manifest_path, folder, work, code, execution)
    for name in RESULTS:
        place(trained / name, folder / name)


def train_in_work(
    config_path: Path,
    manifest_path: Path,
    folder: Path,
    work: Path,
    code: str,
    execution: Execution,
) -> Path:
    """Train a run in its own folder of the work folder, to its end or to a pause.

    Args:
        config_path: rendered config.
        manifest_path: `manifest.json` of the prepared dataset.
        folder: receives a link to how far it is, and nothing else.
        work: folder for states of unfinished trainings, of any number of runs.
        code: digest of the code that shapes a training.
        execution: how it is carried out, and where it pauses.

    Returns:
        That folder. It holds `history.csv`, and the other results if the training is finished.

    Raises:
        DataError, ModelError, StoppedError: as `train`.
    """
    config = load_config(config_path)
    section = RunSection.of(config)
    source = Path(section.source.checkpoint) if section.source else None
    initial = backbone_weights(config) or source
    came_from = where_from(config_path, manifest_path, code, initial)
    place_of_state = work / came_from.digest
    place_of_state.mkdir(parents=True, exist_ok=True)
    link_heartbeat(place_of_state, folder)
    # another experiment may be training the same run
    with alone(place_of_state / "lock", f"{section.run}, in {place_of_state}"):
        if _is_finished(place_of_state):
            LOG.info("%s: trained before with the same settings, results reused", section.run)
        else:
            _train_once(config_path, place_of_state, came_from, execution)
    return place_of_state


def _train_once(config_path: Path, work: Path, came_from: CameFrom, execution: Execution) -> None:
    """Train as soon as devices are free, and note how it ended."""
    run = RunSection.of(load_config(config_path)).run
    Pulse(work / NAME, run, "waiting")
    with noted_end(work / NAME, run), lease_devices(execution.devices) as leased:
        _train_on(leased, run, config_path, work, came_from, execution)


def _train_on(
    devices: Sequence[str],
    run: str,
    config_path: Path,
    work: Path,
    came_from: CameFrom,
    execution: Execution,
) -> None:
    """Train in this process, or in one per device where there are several."""
    if len(devices) == 1:
        with StopRequest() as stop:
            train_here(config_path, work, came_from, devices[0], execution, stop)
        return
    # only where it is needed: it imports a good part of PyTorch
    from segbench.engine.launch import launch

    each = execution.of_each().model_dump_json()
    origin = came_from.model_dump_json()
    arguments = [str(config_path), str(work), origin, each, str(log_file() or "")]
    launch("segbench.engine.process", [*arguments, ",".join(devices)], len(devices), run)


def train_here(
    config_path: Path,
    work: Path,
    came_from: CameFrom,
    device: str,
    execution: Execution,
    stop: StopRequest,
    processes: Processes = ALONE,
) -> None:
    """Train in this process to the end or to a pause, alone or together with others.

    Args:
        config_path: rendered config.
        work: the run's own work folder.
        came_from: everything that shapes the training.
        device: where this process trains.
        execution: how it is carried out in this process, and where it pauses.
        stop: tells whether a signal asked for the end.
        processes: those that train together.

    Raises:
        ModelError, StoppedError: as `train`.
    """
    keep_freed_memory()
    leave_out_accuracies()
    torch.set_num_threads(execution.threads)
    config = load_config(config_path)
    if RunSection.of(config).deterministic:
        use_deterministic_kernels()
    trainer = Trainer(config, device, work, execution, stop, processes)
    trainer.train()
    if processes.is_first:
        if trainer.is_finished:
            trainer.finish(came_from)
        else:
            trainer.pause()


def _is_finished(work: Path) -> bool:
    """Whether a work folder holds the results of a training, whole and as this version records."""
    try:
        TrainRecord.read(work / "train.json")
    except DataError:
        return False
    if not all((work / name).is_file() for name in RESULTS):
        return False
    try:
        confirmed_digest(work / WEIGHTS)
    except DataError:
        LOG.warning("%s: is not what its training wrote; it is trained again", work / WEIGHTS)
        return False
    return True
