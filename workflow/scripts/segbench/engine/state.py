"""Everything an interrupted training needs to go on, saved so that nothing can spoil it unnoticed.

The last two states are kept. The name of a state holds its iteration and the hash of its content,
so one that was cut or changed is noticed, and the one before it is taken. Imports torch.
"""

import errno
import hashlib
import io
import logging
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from segbench.errors import ModelError
from segbench.system.files import sha256_of, write_whole

LOG = logging.getLogger(__name__)
STATE_NAME = re.compile(r"state-(\d{9})-([0-9a-f]{16})\.pth")
KEPT_STATES = 2


class Stateful(Protocol):
    """An optimizer or scheduler: what it knows can be taken out and put back.

    Positional, because PyTorch and MMEngine call the argument differently.
    """

    def state_dict(self) -> dict[str, Any]:
        """What it knows."""

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Put back what it knew."""


@dataclass(slots=True)
class TrainingState:
    """Where a training stands.

    Attributes:
        iteration: iterations done.
        best: best validation mean IoU so far, -1 before the first.
        best_iteration: when it was reached.
        stalled: validations since then.
        seconds: of training so far, validations included.
        history: rows of `history.csv` so far.
        losses: of the iterations that no row of the history holds yet.
        precision: that it computes in; empty before that is decided.
        sessions: the processes that trained it one after the other, as `train.json` lists them.
    """

    iteration: int = 0
    best: float = -1.0
    best_iteration: int = 0
    stalled: int = 0
    seconds: float = 0.0
    precision: str = ""
    history: list[dict[str, float]] = field(default_factory=list)
    losses: list[Tensor] = field(default_factory=list)
    sessions: list[dict[str, str | int]] = field(default_factory=list)

    @classmethod
    def load_or_new(
        cls,
        work: Path,
        model: nn.Module,
        optim: Stateful,
        schedulers: Sequence[Stateful],
        average: nn.Module | None = None,
    ) -> "TrainingState":
        """Restore the newest sound state in a work folder into the parts of a training.

        Raises:
            ModelError: a sound state does not fit the model.
        """
        for path in _states(work):
            saved = _sound(path)
            if saved is None:
                continue
            try:
                model.load_state_dict(saved["model"])
                if average is not None:
                    average.load_state_dict(saved["average"])
                optim.load_state_dict(saved["optim"])
                for scheduler, one in zip(schedulers, saved["schedulers"], strict=True):
                    scheduler.load_state_dict(one)
                state = cls(**saved["state"])
            except Exception as error:  # whatever a state of something else runs into
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise ModelError(
                    f"{path}: is not a state of this training ({reason}). Remove {work} and run "
                    "again: the training then starts anew."
                ) from None
            device = next(model.parameters()).device
            state.losses = [one.to(device) for one in state.losses]
            LOG.info("going on after iteration %d", state.iteration)
            return state
        return cls()

    def save(
        self,
        work: Path,
        model: nn.Module,
        optim: Stateful,
        schedulers: Sequence[Stateful],
        average: nn.Module | None = None,
    ) -> None:
        """Save everything, unless the training has gone astray; older states are removed.

        Raises:
            ModelError: the disk is full; the last state is as it was.
        """
        scored = model if average is None else average
        if not _are_finite(
            [*self.losses, *model.state_dict().values(), *scored.state_dict().values()]
        ):
            LOG.warning(
                "iteration %d: not saved, its weights or loss are not finite", self.iteration
            )
            return
        content = {
            "model": model.state_dict(),
            "average": average.state_dict() if average is not None else None,
            "optim": optim.state_dict(),
            "schedulers": [scheduler.state_dict() for scheduler in schedulers],
            "state": {name: getattr(self, name) for name in self.__slots__},
        }
        stream = io.BytesIO()
        torch.save(content, stream)
        digest = hashlib.sha256(stream.getbuffer()).hexdigest()[:16]
        save_whole(work / f"state-{self.iteration:09d}-{digest}.pth", stream)
        for old in _states(work)[KEPT_STATES:]:
            old.unlink(missing_ok=True)

    def forget(self, work: Path) -> None:
        """Remove the states of a finished training; each is as large as several checkpoints."""
        for path in _states(work):
            path.unlink(missing_ok=True)


def save_whole(path: Path, stream: io.BytesIO) -> None:
    """Write a file so that it is whole or not there, and say what a full disk asks for.

    Raises:
        ModelError: the disk is full; nothing is left behind, and what was there is as it was.
    """
    try:
        write_whole(path, stream.getbuffer())
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        needed = stream.getbuffer().nbytes / 2**20
        free = shutil.disk_usage(path.parent).free / 2**20
        raise ModelError(
            f"{path.parent}: the disk is full: {needed:.0f} MB are needed and {free:.0f} MB are "
            "free. What was saved before is intact. Make room and run again; the training goes on."
        ) from None


def _states(work: Path) -> list[Path]:
    """Files with states, the newest first."""
    found = [path for path in work.glob("state-*.pth") if STATE_NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: (path.name, path.stat().st_mtime_ns), reverse=True)


def _sound(path: Path) -> dict[str, Any] | None:
    """The content of a state, None if it is not what was saved."""
    match = STATE_NAME.fullmatch(path.name)
    try:
        if match and sha256_of(path).startswith(match[2]):
            content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            if _are_finite(content["model"].values()):
                return content
            reason = "it holds weights that are not finite"
        else:
            reason = "its content is not what was saved"
    except OSError as error:
        reason = error.strerror or str(error)
    LOG.warning("%s: left out, because %s; an older state is looked for", path, reason)
    return None


def _are_finite(values: Iterable[object]) -> bool:
    tensors = (v for v in values if isinstance(v, Tensor) and v.is_floating_point())
    return all(bool(torch.isfinite(one).all()) for one in tensors)
