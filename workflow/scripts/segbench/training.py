"""Train one run from a rendered config. Imports torch and mmseg.

Reads top to bottom: build, iterate, validate, keep the best. Two properties shape it:

* Everything random in iteration k follows from (seed, k): order and augmentation of the images
  (`segbench.sampling`) and what the network draws (dropout). So a training that was killed goes on
  from its last state and ends with the same weights, on a CPU bit for bit.
* The state lives in a work folder keyed by the digest of everything that shapes the run, and the
  results are hard links into it. Training again what is finished costs nothing.
"""

import csv
import json
import logging
import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from segbench import metrics
from segbench.building import (
    backbone_weights,
    build_model,
    load_config,
    training_loader,
    validation_loader,
)
from segbench.devices import lease_device
from segbench.errors import ModelError
from segbench.files import alone, place
from segbench.optimizing import build_optimizer, build_schedulers
from segbench.prediction import predictions
from segbench.progress import Progress, duration
from segbench.provenance import package_versions, run_digest
from segbench.training_state import TrainingState

LOG = logging.getLogger(__name__)
LOG_EVERY = 10
SAVE_EVERY_SECONDS = 300.0
RESULTS = ("best.pth", "history.csv", "train.json")


@dataclass(slots=True)
class Parts:
    """What a training iterates: all of it is saved, and restored, together."""

    model: nn.Module
    optim: Any
    schedulers: list[Any]


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
        ModelError: the model cannot be built, or the loss is no longer a number.
    """
    config = load_config(config_path)
    digest = run_digest(config_path, manifest_path, code, backbone_weights(config))
    place_of_state = work / digest
    if not all((place_of_state / name).is_file() for name in RESULTS):
        place_of_state.mkdir(parents=True, exist_ok=True)
        with alone(place_of_state / "lock"), lease_device() as device:
            torch.set_num_threads(threads)
            _train_on(config, device, place_of_state, digest, threads)
    else:
        LOG.info("%s: trained before with the same settings, results reused", config.segbench.run)
    for name in RESULTS:
        place(place_of_state / name, folder / name)


def _train_on(config: Config, device: str, work: Path, digest: str, threads: int) -> None:
    """The training itself: everything between the first iteration and the last."""
    seed, last = config.randomness.seed, config.train_cfg.max_iters
    interval = config.train_cfg.val_interval
    parts, weights_note = _build_parts(config, seed, device)
    state = TrainingState.load_or_new(work, parts.model, parts.optim, parts.schedulers)
    # on a CPU the network needs the cores more than the image readers do
    workers = max(1, threads - 1) if device != "cpu" else min(1, threads - 1)
    parts.optim.initialize_count_status(parts.model, state.iteration, last)
    losses: list[torch.Tensor] = []
    loader = iter(training_loader(config, seed, state.iteration, last, workers))
    val_loader = validation_loader(config, workers)

    began = time.monotonic()
    progress = Progress(config.segbench.run, last, "it", start=state.iteration)
    parts.model.train()
    for iteration in range(state.iteration, last):
        _seed_everything(seed, iteration)
        rate = _learning_rate(parts.optim)
        log = parts.model.train_step(next(loader), parts.optim)  # type: ignore[operator]
        losses.append(log["loss"].detach())
        for scheduler in parts.schedulers:
            scheduler.step()
        state.iteration = iteration + 1
        validate = state.iteration % interval == 0 or state.iteration == last
        noted = validate or state.iteration % LOG_EVERY == 0
        if noted:
            loss = _mean_loss(losses, config.segbench.run, state.iteration)
            state.history.append(
                {"iteration": state.iteration, "loss": loss, "learning_rate": rate}
            )
        progress.step(_detail(state.history))
        if validate:
            _validate(parts.model, val_loader, config, state, work)
        if validate or (noted and time.monotonic() - began > SAVE_EVERY_SECONDS):
            state.seconds += time.monotonic() - began
            began = time.monotonic()
            state.save(work, parts.model, parts.optim, parts.schedulers)
    _write_history(work / "history.csv", state.history)
    _write_record(work / "train.json", config, state, device, digest, weights_note, parts.model)
    state.forget(work)


def _build_parts(config: Config, seed: int, device: str) -> tuple[Parts, str]:
    model, report = build_model(config, seed)
    model.to(device)
    optim = build_optimizer(model, config)
    schedulers = build_schedulers(config, optim)
    return Parts(model, optim, schedulers), report.sentence() if report else "all random"


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
            "for this model, or raise `batch_size`."
        )
    return loss


def _validate(
    model: nn.Module, loader: Any, config: Config, state: TrainingState, work: Path
) -> None:
    """Score the model, note it in the history, and keep the weights if they are the best."""
    classes = config.val_dataloader.dataset.metainfo.classes
    counts = sum(p.counts for p in predictions(model, loader, len(classes)))
    model.train()
    scores = metrics.summary(np.asarray(counts))
    state.history[-1] |= {f"val_{key}": scores[key] for key in ("miou", "aacc", "macc")}
    LOG.info(
        "%s: validation at iteration %d: mean IoU %.2f %%, best before %.2f %%",
        config.segbench.run,
        state.iteration,
        100 * scores["miou"],
        100 * max(state.best, 0),
    )
    if scores["miou"] > state.best:
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
        checkpoint = {"state_dict": model.state_dict(), "meta": meta}
        torch.save(checkpoint, work / "best.pth.part")
        os.replace(work / "best.pth.part", work / "best.pth")


def _write_history(path: Path, history: list[dict[str, float]]) -> None:
    columns = ["iteration", "loss", "learning_rate", "val_miou", "val_aacc", "val_macc"]
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(history)


def _write_record(
    path: Path,
    config: Config,
    state: TrainingState,
    device: str,
    digest: str,
    weights: str,
    model: nn.Module,
) -> None:
    """Write where a run came from, what it did and what it cost."""
    on_gpu = device != "cpu"
    peak = torch.cuda.max_memory_allocated() if on_gpu else _peak_rss_bytes()
    record = {
        "run": config.segbench.run,
        "digest": digest,
        "seed": config.randomness.seed,
        "initialization": config.segbench.initialization,
        "weights": weights,
        "dataset": config.segbench.dataset,
        "iterations": state.iteration,
        "best_iteration": state.best_iteration,
        "best_val_miou": state.best,
        "crop_size": list(config.segbench.crop_size),
        "batch_size": config.segbench.batch_size,
        "learning_rate": config.optim_wrapper.optimizer.lr,
        "optimizer": config.optim_wrapper.optimizer.type,
        "precision": config.optim_wrapper.get("dtype", "float32"),
        "adaptations": list(config.segbench.adaptations),
        "device": torch.cuda.get_device_name()
        if on_gpu
        else f"CPU, {torch.get_num_threads()} threads",
        "train_minutes": state.seconds / 60,
        "peak_memory_mb": peak / 2**20,
        "parameters": sum(p.numel() for p in model.parameters()),
        "versions": package_versions(),
    }
    path.write_text(json.dumps(record, indent=1) + "\n")
    LOG.info(
        "%s: done in %s, best mean IoU %.2f %% at iteration %d",
        config.segbench.run,
        duration(state.seconds),
        100 * state.best,
        state.best_iteration,
    )


def _peak_rss_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
