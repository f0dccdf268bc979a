"""One training, iteration by iteration: step, log, validate, save. Imports torch and mmseg.

Everything random in iteration k follows from (seed, k): order and augmentation of the images
(`sampling`) and what the network draws (dropout). So a training that was killed goes on from its
last state and ends with the same weights, on a CPU bit for bit.
"""

import io
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel, MomentumAnnealingEMA
from mmengine.optim import OptimWrapper, _ParamScheduler
from torch import Tensor, nn

from segbench.engine import mishaps
from segbench.engine.build import (
    build_model,
    class_rows,
    decoded_for,
    last_batch,
    training_loader,
    validation_loader,
)
from segbench.engine.confusion import predictions
from segbench.engine.devices import device_name, reset_peak
from segbench.engine.execution import Execution
from segbench.engine.growing import GrowingModel
from segbench.engine.optimizers import (
    PrecisionOptimWrapper,
    build_optimizer,
    build_schedulers,
    step_on,
)
from segbench.engine.precision import mixed_from, precision_of
from segbench.engine.processes import ALONE, Processes
from segbench.engine.record import note_progress, note_start, write_record
from segbench.engine.running_statistics import forget_the_start
from segbench.engine.sampling import PositionedDataset
from segbench.engine.shortcuts.take import take_shortcuts
from segbench.engine.state import Stateful, TrainingState, save_whole
from segbench.errors import ModelError
from segbench.recipe.section import RunSection
from segbench.scores import metrics
from segbench.system.heartbeat import NAME, Pulse
from segbench.system.progress import Progress, duration
from segbench.system.provenance import CameFrom
from segbench.system.run_records import write_history
from segbench.system.stop import StopRequest

LOG = logging.getLogger(__name__)
LOG_EVERY = 10
MOST_NAMES = 4  # of images in a message
# folders beside the work folders of the runs
TRIALS, DECODED, COMPILED = "precision", "decoded", "compiled"
Batch = dict[str, list[object]]


@dataclass(slots=True)
class Parts:
    """What a training iterates: all of it is saved, and restored, together.

    Attributes:
        model: what is trained.
        optim: its optimizer, in MMEngine's wrapper.
        schedulers: of the learning rate.
        average: moving average of the model, if the config asks for one.
    """

    model: BaseModel
    optim: PrecisionOptimWrapper
    schedulers: list[_ParamScheduler]
    average: MomentumAnnealingEMA | None = None

    @property
    def scored(self) -> nn.Module:
        """What is validated and kept."""
        scored: nn.Module = self.model if self.average is None else self.average.module
        return scored

    def all(self) -> tuple[nn.Module, Stateful, Sequence[Stateful], nn.Module | None]:
        """Everything that a state holds."""
        return self.model, self.optim, self.schedulers, self.average


class Trainer:
    """One training: what it iterates, the data it sees, and where it stands.

    Args:
        config: rendered config of the run.
        device: where to train.
        work: the run's own work folder, which may hold a state to go on from.
        execution: how it is carried out in this process, and where it pauses.
        stop: tells whether a signal asked for the end.
        processes: those that train together.
    """

    def __init__(
        self,
        config: Config,
        device: str,
        work: Path,
        execution: Execution,
        stop: StopRequest,
        processes: Processes = ALONE,
    ) -> None:
        self.config, self.section = config, RunSection.of(config)
        self.device, self.work, self.stop, self.processes = device, work, stop, processes
        self.seed, self.last = config.randomness.seed, config.train_cfg.max_iters
        self.until = min(execution.until or self.last, self.last)
        self.parts, self.weights = _build_parts(config, self.section, device)
        self.state = TrainingState.load_or_new(work, *self.parts.all())
        self._settle_precision()
        if self.section.compile:
            # only where it is needed: it imports a good part of PyTorch
            from segbench.engine.compiled import compile_network

            compile_network(self.parts.model, work.parent / COMPILED, execution.threads)
        # on a CPU the network needs the cores more than the image readers do
        most = max(1, execution.threads - 1)
        workers = most if device != "cpu" else min(1, execution.threads - 1)
        done = self.state.iteration
        self.parts.optim.initialize_count_status(self.parts.model, done, self.last)
        # after the state is restored: the processes start from the weights of the first
        self.stepped = processes.wrapped(self.parts.model, device)
        if not self.section.compile:  # compiled code has one momentum
            forget_the_start(self.parts.model)
        self.growing = GrowingModel.of(self.parts.model, config)
        decoded = decoded_for(config, work.parent / DECODED, execution)
        loader = training_loader(config, self.seed, done, self.last, workers, processes, decoded)
        self.batches = mishaps.read_on(loader)
        self.frames: PositionedDataset = loader.dataset  # type: ignore[assignment]
        self.val_loader = validation_loader(config, workers, processes)
        self.rate = 0.0  # of the last iteration
        self.pulse = Pulse(
            work / NAME if processes.is_first else None, self.section.run, "training", self.last,
            device_name(device), done, self.growing.heavier if self.growing else None,
        )  # fmt: skip
        note_start(self.state, device)
        self.save_seconds = 60 * execution.save_minutes
        self.saved_at = time.monotonic()

    def _settle_precision(self) -> None:
        """Compute in the precision of the config, or in the one that this training began with."""
        model, state = self.parts.model, self.state
        if not state.precision:
            state.precision = precision_of(
                self.config, model, partial(last_batch, self.config, self.seed), self.device,
                self.work.parent / TRIALS, may_try=self.processes.size == 1,
            )  # fmt: skip
            reset_peak(self.device)
        self.parts.optim.is_alone = self.processes.size == 1
        self.parts.optim.mixed_from = mixed_from(self.section)
        self.parts.optim.compute_in(state.precision, model)

    def train(self) -> None:
        """Iterate from where the state stands to the end, or to the pause.

        Raises:
            ModelError: the loss is no longer a number, or the disk is full.
            StoppedError: a signal asked for the end; the state is saved.
        """
        run = self.section.run
        progress = Progress(run, self.last, "it", start=self.state.iteration)
        self.stepped.train()
        while self.state.iteration < self.until and not self.has_stalled():
            self.step()
            if self.is_logged():
                self.log()
            progress.step(_detail(self.state.history))
            self.pulse.note(self.state.iteration)
            if self.is_validated():
                self.validate()
            self.stop.agree(self.processes.any)
            if self.is_saved():
                self.save()
            self.stop.obey(run, self.state.iteration)
        if self.has_stalled() and self.state.iteration < self.last:
            LOG.info("%s: stops early, it no longer improves", run)

    def step(self) -> None:
        """One iteration: everything random in it follows from (seed, iteration)."""
        state, parts = self.state, self.parts
        _seed_everything(self.seed, state.iteration, self.processes.rank)
        self.rate = _learning_rate(parts.optim)
        if self.growing is not None:
            self.growing.expect(state.iteration)
        log = self._step_on(self._next_batch())
        state.losses.append(self.processes.mean(log["loss"].detach()))
        for scheduler in parts.schedulers:
            scheduler.step()
        if parts.average is not None:
            parts.average.update_parameters(parts.model)
        state.iteration += 1

    def log(self) -> None:
        """Add a row to the history: the mean loss since the last one, and the last rate."""
        iteration = self.state.iteration
        row = {"iteration": iteration, "loss": self._mean_loss(), "learning_rate": self.rate}
        self.state.history.append(row)
        self.pulse.note(loss=row["loss"], learning_rate=row["learning_rate"])

    def validate(self) -> None:
        """Score the model, add that to the history, and keep the weights if they are the best."""
        state, classes = self.state, self.config.val_dataloader.dataset.metainfo.classes
        counts = np.zeros((len(classes), len(classes)), np.int64)
        for predicted in predictions(self.parts.scored, self.val_loader, len(classes)):
            counts += metrics.confusion_matrix(predicted.truth, predicted.classes, len(classes))
            self.pulse.note(validating=True)
        self.stepped.train()
        scores = metrics.summary(self.processes.total(counts))
        state.history[-1] |= {f"val_{key}": scores[key] for key in ("miou", "aacc", "macc")}
        before = f", best before {100 * state.best:.2f} %" if state.best >= 0 else ""
        LOG.info(
            "%s: validation at iteration %d: mean IoU %.2f %%%s",
            self.section.run, state.iteration, 100 * scores["miou"], before,
        )  # fmt: skip
        state.stalled += 1
        if scores["miou"] > state.best:
            state.stalled = 0
            state.best, state.best_iteration = scores["miou"], state.iteration
            if self.processes.is_first:
                self._keep_weights()
        self.pulse.note(miou=state.best)

    def save(self) -> None:
        """Save everything that going on needs; one process does it for all."""
        if not self.processes.is_first:
            return
        now = time.monotonic()
        self.state.seconds += now - self.saved_at
        self.saved_at = now
        note_progress(self.state)
        self.state.save(self.work, *self.parts.all())

    @property
    def is_finished(self) -> bool:
        """Whether it came to its end, and not only to a pause."""
        return self.state.iteration >= self.last or self.has_stalled()

    def pause(self) -> None:
        """Save the state, and the history beside it for those who look at it meanwhile."""
        self.save()
        write_history(self.work / "history.csv", self.state.history)
        LOG.info("%s: pauses at iteration %d", self.section.run, self.state.iteration)

    def finish(self, came_from: CameFrom) -> None:
        """Write the results beside the best weights; no state is needed from here on."""
        state = self.state
        self.pulse.flush()
        write_history(self.work / "history.csv", state.history)
        write_record(
            self.work / "train.json",
            self.config,
            state,
            self.parts.model,
            self.device,
            came_from=came_from,
            weights=self.weights,
        )
        LOG.info(
            "%s: done in %s, best mean IoU %.2f %% at iteration %d",
            self.section.run,
            duration(state.seconds),
            100 * state.best,
            state.best_iteration,
        )
        state.forget(self.work)

    def has_stalled(self) -> bool:
        """Whether it has not improved for as many validations as the config allows."""
        return self.state.stalled >= (self.section.early_stopping or math.inf)

    def is_logged(self) -> bool:
        """Whether the history gets a row after this iteration."""
        return self.is_validated() or self.state.iteration % LOG_EVERY == 0

    def is_validated(self) -> bool:
        """Whether the model is scored after this iteration."""
        interval, done = self.config.train_cfg.val_interval, self.state.iteration
        return bool(done % interval == 0 or done == self.last)

    def is_saved(self) -> bool:
        """Whether the state is saved after this iteration."""
        is_due = time.monotonic() - self.saved_at >= self.save_seconds
        return self.is_validated() or bool(self.stop.signal) or is_due

    def _mean_loss(self) -> float:
        """Mean loss since the last row; reads the device once for many iterations."""
        losses, run = torch.stack(self.state.losses), self.section.run
        self.state.losses.clear()
        loss = float(losses.mean())
        if np.isfinite(loss):
            return loss
        first = int((~torch.isfinite(losses)).nonzero()[0])
        iteration, batch = self.state.iteration - len(losses) + first + 1, self.section.batch_size
        names = self.frames.names_at(range((iteration - 1) * batch, iteration * batch))
        more = "" if self.state.precision == "float32" else " or set `precision: float32`,"
        raise ModelError(
            f"{run}: the loss is {float(losses[first])} at iteration {iteration} (learning rate "
            f"{self.rate:.3g}; images {_listed(names)}). Lower `training.learning_rate` for this "
            f"model,{more} or raise `batch_size`. Running again as it is goes on from the last "
            "sound state and most likely meets the same loss."
        )

    def _step_on(self, batch: Batch) -> dict[str, Tensor]:
        """Forward, backward and the optimizer's step on a batch."""
        optim = self.parts.optim
        try:
            return step_on(self.stepped, batch, optim)
        except (RuntimeError, MemoryError) as error:
            if self.section.compile:
                from segbench.engine.compiled import refuse_uncompiled

                refuse_uncompiled(self.section.run, error)
            if not mishaps.is_out_of_memory(error):
                raise
        # outside of the handler, which holds what the iteration took
        optim.zero_grad()
        fits = None
        if self.processes.size == 1:  # the others would wait for this one in vain
            LOG.info("%s: out of memory; looking for the largest batch", self.section.run)
            fits = mishaps.largest_batch(lambda part: step_on(self.stepped, part, optim), batch)
            if self.growing is not None:
                fits = self.growing.of_whole(fits, self.state.iteration)
        raise mishaps.beyond_memory(self.section.run, self.device, self.section.batch_size, fits)

    def _next_batch(self) -> Batch:
        try:
            batch: Batch = next(self.batches)
        except RuntimeError as error:
            # the signal may have reached the processes that read images, too
            if self.stop.signal:
                self.save()
            self.stop.obey(self.section.run, self.state.iteration)
            raise mishaps.reader_died(error) or error from None
        return batch

    def _keep_weights(self) -> None:
        """Write `best.pth`."""
        metainfo = self.config.val_dataloader.dataset.metainfo
        meta = {
            "iteration": self.state.iteration,
            "val_miou": self.state.best,
            # what mmseg.apis.init_model looks for
            "dataset_meta": {
                "classes": list(metainfo.classes),
                "palette": [list(color) for color in metainfo.palette],
            },
        }
        stream = io.BytesIO()
        torch.save({"state_dict": self.parts.scored.state_dict(), "meta": meta}, stream)
        save_whole(self.work / "best.pth", stream)


def _build_parts(config: Config, section: RunSection, device: str) -> tuple[Parts, str]:
    """Build what is trained, and say in a sentence which weights it starts from."""
    model, report = build_model(config, config.randomness.seed)
    take_shortcuts(model).to(device)
    optim = build_optimizer(model, config)
    # its decay warms up
    ema = section.ema
    average = None if ema is None else MomentumAnnealingEMA(model, momentum=1 - ema)
    sentence = report.sentence() if report else "all random"
    if section.initialization == "finetuned" and section.source:
        sentence += "; " + class_rows(section.source, config).sentence()
    return Parts(model, optim, build_schedulers(config, optim), average), sentence


def _seed_everything(seed: int, iteration: int, rank: int) -> None:
    """Make what the network draws in an iteration a function of (seed, iteration, process)."""
    words = [seed, iteration, rank] if rank else [seed, iteration]
    torch.manual_seed(int(np.random.SeedSequence(words).generate_state(1)[0]))


def _learning_rate(optim: OptimWrapper) -> float:
    """The rate of the recipe itself, which some parameters are given a multiple of."""
    rates = optim.get_lr()
    return float(rates.get("base_lr", rates["lr"])[0])


def _detail(history: list[dict[str, float]]) -> str:
    """Loss and rate for the progress line, from the last row of the history."""
    if not history:
        return ""
    return f"loss {history[-1]['loss']:.4f}  lr {history[-1]['learning_rate']:.2e}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
