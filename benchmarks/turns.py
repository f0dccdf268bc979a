"""Programs that are measured in turns: one of them runs for a second, while the others are halted.

Whatever else a machine does then slows all of them alike, which a virtual machine's neighbours do
by a half and for seconds. A program says by `Ticks` what it has done. Needs Unix.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from timing import job_of

TURN_SECONDS, POLL_SECONDS = 1.0, 0.02
READY_SECONDS = 600  # until the first note, at most


class Ticks:
    """Notes in a file how much is done, and when.

    Args:
        path: of the file.
        device: is waited for where the time is taken, so that what is noted is done.
        first: what is not noted, such as steps that warm up.
        every: how many more are done between two notes.
    """

    def __init__(self, path: str, device: str = "cpu", first: int = 0, every: int = 1) -> None:
        self.path, self.device, self.first, self.every, self.done = path, device, first, every, 0

    def tick(self) -> None:
        """One more is done."""
        self.done += 1
        if self.done < self.first or (self.done - self.first) % self.every:
            return
        if self.device != "cpu":
            import torch

            torch.cuda.synchronize()
        with Path(self.path).open("a") as file:
            file.write(f"{self.done} {time.monotonic()}\n")


@dataclass
class Program:
    """A process with all that it starts, and when it ran.

    Attributes:
        process: leader of a process group.
        ticks: its file.
        output: what it said.
        runs: begins and ends of the times in which it was not halted.
    """

    process: subprocess.Popen[bytes]
    ticks: Path
    output: Path
    runs: list[tuple[float, float]] = field(default_factory=list)

    @property
    def noted(self) -> list[tuple[int, float]]:
        """What was done, and after how many seconds of its own."""
        lines = [line.split() for line in self.ticks.read_text().splitlines()]
        return [(int(done), self._own(float(moment))) for done, moment in lines]

    @property
    def rate(self) -> float:
        """What is done in a second."""
        (first, began), *_, (last, ended) = self.noted
        return (last - first) / (ended - began)

    @property
    def own_seconds(self) -> float:
        """Since the first note."""
        return self._own(self.runs[-1][1]) - self.noted[0][1]

    @property
    def has_ended(self) -> bool:
        """Whether it has, by itself.

        Raises:
            SystemExit: with its last words, if it failed.
        """
        if self.process.poll():
            sys.exit(f"{self.process.args}: {self.output.read_text()[-4000:]}")
        return self.process.returncode == 0

    def needs(self, seconds: float, enough: int) -> bool:
        """Whether it has to go on, for so many seconds of its own and so many notes."""
        is_measured = self.own_seconds >= seconds and len(self.noted) >= enough
        return not is_measured and not self.has_ended

    def _own(self, moment: float) -> float:
        return sum(min(end, moment) - begin for begin, end in self.runs if begin < moment)

    def run(self, seconds: float, until_ready: bool = False) -> None:
        """Let it run, at most until it ends, or until its first note."""
        began = time.monotonic()
        self._signal(signal.SIGCONT)
        while time.monotonic() < began + seconds and not self.has_ended:
            if until_ready and self.ticks.stat().st_size:
                break
            time.sleep(POLL_SECONDS)
        self._signal(signal.SIGSTOP)
        self.runs.append((began, time.monotonic()))

    def end(self) -> None:
        """Kill it and all that it started."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def in_turns(
    script: str, jobs: Mapping[str, Mapping[str, object]], folder: str, seconds: float, enough: int
) -> dict[str, float]:
    """What each program does in a second while it runs.

    Args:
        script: of a benchmark; it takes a job after `--job`.
        jobs: by name; each is given `folder` and the file of its `ticks`.
        folder: in which they run.
        seconds: for which each of them runs, at least.
        enough: notes of each, at least.
    """
    # halted programs would outlive a benchmark that is ended
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    with contextlib.ExitStack() as stack:
        programs = {
            name: stack.enter_context(_started(script, job, Path(folder) / name))
            for name, job in jobs.items()
        }
        for program in programs.values():
            program.run(READY_SECONDS, until_ready=True)
        while any(one.needs(seconds, enough) for one in programs.values()):
            for program in programs.values():
                program.run(TURN_SECONDS)
        return {name: program.rate for name, program in programs.items()}


@contextlib.contextmanager
def _started(script: str, job: Mapping[str, object], folder: Path) -> Iterator[Program]:
    """A program that is halted until its first turn, and killed at the end."""
    folder.mkdir()
    ticks, output = folder / "ticks", folder / "output"
    ticks.touch()
    start = job_of(script, {**job, "folder": str(folder), "ticks": str(ticks)})
    # a folder for locks of its own: the others hold the device while they are halted
    start["env"]["TMPDIR"] = str(folder)
    with output.open("wb") as said:
        process = subprocess.Popen(**start, stdout=said, stderr=said, start_new_session=True)
    program = Program(process, ticks, output)
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        yield program
    finally:
        program.end()
