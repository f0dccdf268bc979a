"""What a run is doing, in a small file that `python -m segbench status` reads.

A job writes it every few seconds, also on a node of a cluster, so nothing has to be asked and no
service runs. It is for people alone: a disk that is full, or a folder that cannot be written, ends
no training.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from segbench.errors import DataError
from segbench.system.records import Record
from segbench.system.stop import StoppedError

NAME = "progress.json"  # of a training
EVALUATION = "evaluation.json"
EVERY_SECONDS = 2.0
Heavier = Callable[[int, int, int], float]
State = Literal["waiting", "training", "evaluating", "done", "failed", "stopped"]


class Heartbeat(Record):
    """`progress.json` or `evaluation.json`: where a run stands.

    Attributes:
        run: `model/initialization/seed0`.
        state: what it is doing.
        done, total: iterations, or images that are scored.
        seconds_each: of one of them, on average since the process began; None before the first.
        heavier: how many times as long each of those that are left takes.
        loss, learning_rate, miou: the last ones; the mean IoU is the best so far, a fraction.
        device: where it runs.
        host, process: which process writes.
        job: of SLURM, empty elsewhere.
        began, beat: when the process began and last wrote, seconds since 1970.
        validation_seconds: of a training, spent on validations, in all its processes.
        said: why it ended, if not as it should.
    """

    run: str
    state: State
    done: int = 0
    total: int = 0
    seconds_each: float | None = None
    heavier: float = 1.0
    loss: float | None = None
    learning_rate: float | None = None
    miou: float | None = None
    device: str = ""
    host: str = ""
    process: int = 0
    job: str = ""
    began: float = 0.0
    beat: float = 0.0
    validation_seconds: float = 0.0
    said: str = ""


class Pulse:
    """Writes where a run stands, every few seconds at the most.

    Args:
        path: of the file; None writes nothing.
        run: its name.
        state: what it is doing.
        total: iterations, or images that are scored.
        device: where it runs.
        done: those that were done before.
        heavier: tells from the first that was done here, the present one and the total how many
            times as long each of those that are left takes; None where all take as long.
    """

    def __init__(
        self, path: Path | None, run: str, state: State, total: int = 0,
        device: str = "", done: int = 0, heavier: Heavier | None = None,
    ) -> None:  # fmt: skip
        self._path, self._written, self._heavier = path, 0.0, heavier
        self._noted = time.monotonic()
        self._start = (self._noted, done)
        # one that is not resumed begins with nothing
        before = read_heartbeat(path) if path and (done or state == "waiting") else None
        self._last = Heartbeat(
            run=run, state=state, total=total, device=device, done=done, began=time.time(),
            host=socket.gethostname(), process=os.getpid(), job=os.environ.get("SLURM_JOB_ID", ""),
            validation_seconds=before.validation_seconds if before else 0.0,
        )  # fmt: skip
        self._write()

    def note(
        self, done: int | None = None, validating: bool = False, **values: float | None
    ) -> None:
        """Take down what is new, and write it if a few seconds have passed.

        Args:
            done: iterations or images so far; None where only time has passed.
            validating: whether a validation took the time since the last note.
            values: `loss`, `learning_rate` or `miou`.
        """
        now = time.monotonic()
        if done is not None:
            values["done"] = done
        if validating:
            values["validation_seconds"] = self._last.validation_seconds + now - self._noted
        self._noted = now
        if values:
            self._last = self._last.model_copy(update=values)
        if now - self._written >= EVERY_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was taken down, now."""
        now = time.monotonic()
        since, before = self._start
        if self._last.done > before:
            # validations included, so that what is left can be told from it
            new = {"seconds_each": (now - since) / (self._last.done - before)}
            if self._heavier:
                new["heavier"] = self._heavier(before, self._last.done, self._last.total)
            self._last = self._last.model_copy(update=new)
        self._write()

    def _write(self) -> None:
        self._written = time.monotonic()
        self._last = self._last.model_copy(update={"beat": time.time()})
        if self._path is not None:
            _write(self._path, self._last)


@contextlib.contextmanager
def noted_end(path: Path, run: str) -> Iterator[None]:
    """Write how a piece of work ended, whichever process wrote its heartbeat."""
    try:
        yield
    except StoppedError as error:
        _end(path, run, "stopped", str(error))
        raise
    except BaseException as error:
        _end(path, run, "failed", str(error) or type(error).__name__)
        raise
    _end(path, run, "done")


def read_heartbeat(path: Path) -> Heartbeat | None:
    """The last heartbeat, None where there is none that can be read."""
    try:
        return Heartbeat.read(path)
    except DataError:
        return None


def link_heartbeat(work: Path, folder: Path) -> None:
    """Show the heartbeat of a work folder in the folder of a run."""
    with contextlib.suppress(OSError):
        target = folder / NAME
        target.unlink(missing_ok=True)
        target.symlink_to(os.path.relpath(work / NAME, folder))


def _end(path: Path, run: str, state: State, said: str = "") -> None:
    last = read_heartbeat(path) or Heartbeat(run=run, state=state)
    _write(path, last.model_copy(update={"state": state, "said": said, "beat": time.time()}))


def _write(path: Path, heartbeat: Heartbeat) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        # a reader sees the old one or the new one; it need not survive a power cut
        part.write_text(heartbeat.model_dump_json())
        part.replace(path)
