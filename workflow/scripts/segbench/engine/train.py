"""Train one run from a rendered config. Imports torch and mmseg.

Reads top to bottom: build, iterate, validate, keep the best. Two properties shape it:

* Everything random in iteration k follows from (seed, k): order and augmentation of the images
  (`sampling`) and what the network draws (dropout). So a training that was killed goes on from its
  last state and ends with the same weights, on a CPU bit for bit.
* The state lives in a work folder keyed by the digest of everything that shapes the run, and the
  results are hard links into it. Training again what is finished costs nothing.
"""

import io
import logging
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import MomentumAnnealingEMA
from torch import nn

from segbench.engine.build import (
    backbone_weights,
    build_model,
    class_rows,
    load_config,
    source_checkpoint,
    training_loader,
    validation_loader,
)
from segbench.engine.devices import lease_device
from segbench.engine.optimizers import build_optimizer, build_schedulers
from segbench.engine.predict import predictions
from segbench.engine.record import write_history, write_record
from segbench.engine.state import TrainingState, save_whole
from segbench.errors import ModelError
from segbench.scores import metrics
from segbench.system.files import alone, place
from segbench.system.progress import Progress, duration
from segbench.system.provenance import run_digest
from segbench.system.stop import StopRequest

LOG = logging.getLogger(__name__)
LOG_EVERY = 10
SAVE_EVERY_SECONDS = 300.0
RESULTS = ("best.pth", "history.csv", "train.json")


@dataclass(slots=True)
class Parts:
    """What a training iterates: all of it is saved, and restored, together.

    Attributes:
        model: what is trained.
        optim: its optimizer, in MMEngine's wrapper.
        schedulers: of the learning rate.
        average: moving average of the model, if the config asks for one.
    """

    model: nn.Module
    optim: Any
    schedulers: list[Any]
    average: Any = None

    @property
    def scored(self) -> nn.Module:
        """What is validated and kept."""
        return self.model if self.average is None else self.average.module

    def all(self) -> tuple[nn.Module, Any, list[Any], Any]:
        """Everything that a state holds."""
        return self.model, self.optim, self.schedulers, self.average


def train(
    config_path: Path, manifest_path: Path, folder: Path, work: Path, code: str, threads: int
) -> None:
    """Train a run to its end, or go on with one that was interrupted.

    Args:
        config_path: rendered config.
        manifest_path: `manifest.json` of the prepared dataset.
        folder: receives `best.pth`, `history.csv` and `train.json`.
        work: folder for states of unfinished trainings, of any number of runs.
        code: digest of the code that shapes a training.
        threads: CPU threads of the network; on a GPU, processes that read images.

    Raises:
        ModelError: the model cannot be built, the loss is no longer a number, or the disk is full.
        StoppedError: a signal asked for the end; the state is saved.
    """
    config = load_config(config_path)
    weights = backbone_weights(config) or source_checkpoint(config)
    digest = run_digest(config_path, manifest_path, code, weights)
    place_of_state = work / digest
    place_of_state.mkdir(parents=True, exist_ok=True)
    # another experiment may be training the same run
    with alone(place_of_state / "lock"):
        if all((place_of_state / name).is_file() for name in RESULTS):
            LOG.info(
                "%s: trained before with the same settings, results reused", config.segbench.run
            )
        else:
            with lease_device() as device, StopRequest() as stop:
                torch.set_num_threads(threads)
                _train_on(config, device, place_of_state, digest, threads, stop)
    for name in RESULTS:
        place(place_of_state / name, folder / name)


def _train_on(
    config: Config, device: str, work: Path, digest: str, threads: int, stop: StopRequest
) -> None:
    """The training itself: everything between the first iteration and the last."""
    seed, last = config.randomness.seed, config.train_cfg.max_iters
    interval = config.train_cfg.val_interval
    parts, weights_note = _build_parts(config, seed, device)
    state = TrainingState.load_or_new(work, *parts.all())
    # on a CPU the network needs the cores more than the image readers do
    workers = max(1, threads - 1) if device != "cpu" else min(1, threads - 1)
    parts.optim.initialize_count_status(parts.model, state.iteration, last)
    loader = iter(training_loader(config, seed, state.iteration, last, workers))
    val_loader = validation_loader(config, workers)

    began = time.monotonic()
    progress = Progress(config.segbench.run, last, "it", start=state.iteration)
    parts.model.train()
    for iteration in range(state.iteration, last):
        if state.stalled >= (config.segbench.early_stopping or math.inf):
            LOG.info("%s: stops early, it no longer improves", config.segbench.run)
            break
        _seed_everything(seed, iteration)
        rate = _learning_rate(parts.optim)
        try:
            batch = next(loader)
        except RuntimeError:  # the signal may have reached the processes that read images, too
            if stop.signal:
                state.save(work, *parts.all())
            stop.obey(config.segbench.run, state.iteration)
            raise
        log = parts.model.train_step(batch, parts.optim)  # type: ignore[operator]
        state.losses.append(log["loss"].detach())
        for scheduler in parts.schedulers:
            scheduler.step()
        if parts.average is not None:
            parts.average.update_parameters(parts.model)
        state.iteration = iteration + 1
        validate = state.iteration % interval == 0 or state.iteration == last
        noted = validate or state.iteration % LOG_EVERY == 0
        if noted:
            loss = _mean_loss(state.losses, config.segbench.run, state.iteration)
            state.history.append(
                {"iteration": state.iteration, "loss": loss, "learning_rate": rate}
            )
        progress.step(_detail(state.history))
        if validate:
            _validate(parts, val_loader, config, state, work)
        if validate or stop.signal or time.monotonic() - began > SAVE_EVERY_SECONDS:
            state.seconds += time.monotonic() - began
            began = time.monotonic()
            state.save(work, *parts.all())
        stop.obey(config.segbench.run, state.iteration)
    write_history(work / "history.csv", state.history)
    write_record(
        work / "train.json", config, state, parts.model, device, digest=digest, weights=weights_note
    )
    LOG.info(
        "%s: done in %s, best mean IoU %.2f %% at iteration %d",
        config.segbench.run,
        duration(state.seconds),
        100 * state.best,
        state.best_iteration,
    )
    state.forget(work)


def _build_parts(config: Config, seed: int, device: str) -> tuple[Parts, str]:
    model, report = build_model(config, seed)
    model.to(device)
    optim = build_optimizer(model, config)
    parts = Parts(model, optim, build_schedulers(config, optim), _average(model, config))
    note = report.sentence() if report else "all random"
    if config.segbench.initialization == "finetuned":
        note += "; " + class_rows(config).sentence()
    return parts, note


def _average(model: nn.Module, config: Config) -> Any:
    """A moving average of the weights whose decay warms up, in MMEngine's way."""
    if config.segbench.ema is None:
        return None
    return MomentumAnnealingEMA(model, momentum=1 - config.segbench.ema)


def _seed_everything(seed: int, iteration: int) -> None:
    """Make what the network draws in an iteration a function of (seed, iteration)."""
    torch.manual_seed(int(np.random.SeedSequence([seed, iteration]).generate_state(1)[0]))


def _learning_rate(optim: Any) -> float:
    """The rate of the recipe itself, which some parameters are given a multiple of."""
    rates = optim.get_lr()
    return float(rates.get("base_lr", rates["lr"])[0])


def _detail(history: list[dict[str, float]]) -> str:
    """Loss and rate for the progress line, from the last row of the history."""
    if not history:
        return ""
    return f"loss {history[-1]['loss']:.4f}  lr {history[-1]['learning_rate']:.2e}"


def _mean_loss(losses: list[torch.Tensor], run: str, iteration: int) -> float:
    """Mean loss since the last call; reads the device once for many iterations."""
    loss = float(torch.stack(losses).mean())
    losses.clear()
    if not np.isfinite(loss):
        raise ModelError(
            f"{run}: the loss is {loss} at iteration {iteration}. Lower `training.learning_rate` "
            "for this model, raise `batch_size`, or use `precision: float32`. Running again as "
            "it is goes on from the last sound state and most likely meets the same loss."
        )
    return loss


def _validate(parts: Parts, loader: Any, config: Config, state: TrainingState, work: Path) -> None:
    """Score the model, note it in the history, and keep the weights if they are the best."""
    classes = config.val_dataloader.dataset.metainfo.classes
    counts = sum(p.counts for p in predictions(parts.scored, loader, len(classes)))
    parts.model.train()
    scores = metrics.summary(np.asarray(counts))
    state.history[-1] |= {f"val_{key}": scores[key] for key in ("miou", "aacc", "macc")}
    LOG.info(
        "%s: validation at iteration %d: mean IoU %.2f %%, best before %.2f %%",
        config.segbench.run,
        state.iteration,
        100 * scores["miou"],
        100 * max(state.best, 0),
    )
    state.stalled += 1
    if scores["miou"] > state.best:
        state.stalled = 0
        state.best, state.best_iteration = scores["miou"], state.iteration
        meta = {
            "iteration": state.iteration,
            "val_miou": scores["miou"],
            # what mmseg.apis.init_model looks for
            "dataset_meta": {
                "classes": list(classes),
                "palette": [list(c) for c in config.val_dataloader.dataset.metainfo.palette],
            },
        }
        checkpoint = {"state_dict": parts.scored.state_dict(), "meta": meta}
        stream = io.BytesIO()
        torch.save(checkpoint, stream)
        save_whole(work / "best.pth", stream)
