"""Everything an interrupted training needs to go on, saved so that a kill cannot spoil it.

Imports torch.
"""

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

LOG = logging.getLogger(__name__)
STATE = "state.pth"


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
    """

    iteration: int = 0
    best: float = -1.0
    best_iteration: int = 0
    stalled: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)

    @classmethod
    def load_or_new(
        cls,
        work: Path,
        model: nn.Module,
        optim: Any,
        schedulers: list[Any],
        average: nn.Module | None = None,
    ) -> "TrainingState":
        """Restore the state in a work folder into the parts of a training, if there is one."""
        path = work / STATE
        if not path.is_file():
            return cls()
        saved = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(saved["model"])
        if average is not None:
            average.load_state_dict(saved["average"])
        optim.load_state_dict(saved["optim"])
        for scheduler, one in zip(schedulers, saved["schedulers"], strict=True):
            scheduler.load_state_dict(one)
        state = cls(**saved["state"])
        LOG.info("going on after iteration %d", state.iteration)
        return state

    def save(
        self,
        work: Path,
        model: nn.Module,
        optim: Any,
        schedulers: list[Any],
        average: nn.Module | None = None,
    ) -> None:
        """Save everything; the file is complete or the old one remains."""
        content = {
            "model": model.state_dict(),
            "average": average.state_dict() if average is not None else None,
            "optim": optim.state_dict(),
            "schedulers": [scheduler.state_dict() for scheduler in schedulers],
            "state": {name: getattr(self, name) for name in self.__slots__},
        }
        torch.save(content, work / f"{STATE}.part")
        os.replace(work / f"{STATE}.part", work / STATE)

    def forget(self, work: Path) -> None:
        """Remove the state of a finished training; it is as large as several checkpoints."""
        (work / STATE).unlink(missing_ok=True)
