"""How far the runs of an experiment are, read from the small files that they leave.

Reads a file or two per run and asks nobody, so that it answers at once for a thousand runs, also
while they run on other machines.
"""

import os
import socket
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.system import heartbeat
from segbench.system.heartbeat import EVALUATION, Heartbeat, read_heartbeat
from segbench.system.run_list import NAME, RunList

# states in the order in which they are counted, and whether they are still to be worked on
STATES = {
    "training": True, "evaluating": True, "stalled": True, "failed": True, "stopped": True,
    "waiting": True, "trained": True, "done": False,
}  # fmt: skip
ACTIVE = ("training", "evaluating", "stalled")
STALLED_SECONDS = 120.0
STALLED_STEPS = 10  # that many times the time of a step without a word


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Where a run stands.

    Attributes:
        run: `model/initialization/seed0`.
        state: one of `STATES`.
        beat: the last that it said of itself, None where it has not begun.
        silent: seconds since then.
    """

    run: str
    state: str
    beat: Heartbeat | None
    silent: float

    @property
    def seconds_left(self) -> float | None:
        """Of what it is doing; None where that is not known."""
        if self.state not in ACTIVE or self.beat is None or self.beat.seconds_each is None:
            return None
        return (self.beat.total - self.beat.done) * self.beat.seconds_each * self.beat.heavier

    @property
    def share_left(self) -> float:
        """Of its training, by the time that it takes; 1 where it has not begun."""
        if self.beat is None or not self.beat.total:
            return 1.0
        left = (self.beat.total - self.beat.done) * self.beat.heavier
        return left / ((self.beat.done + left) or 1.0)


@dataclass(frozen=True, slots=True)
class ExperimentStatus:
    """Where an experiment stands.

    Attributes:
        experiment: its name.
        runs: in the order of its config.
    """

    experiment: str
    runs: Sequence[RunStatus]

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are in each state that occurs."""
        found = {state: sum(run.state == state for run in self.runs) for state in STATES}
        return {state: count for state, count in found.items() if count}

    @property
    def seconds_left(self) -> float | None:
        """Of all trainings, as many at a time as now; None where nothing tells how long they take.

        A run that has not begun is taken to last as long as others of its model, or else as the
        median of all.
        """
        now = [run for run in self.runs if run.state in ("training", "stalled")]
        ahead = [run for run in self.runs if run.state in ("waiting", "stopped", "failed")]
        lengths = _lengths(self.runs)
        if not lengths or not (now or ahead):
            return None
        usual = statistics.median(lengths.values())
        left = sum(run.seconds_left or 0.0 for run in now)
        left += sum(lengths.get(_model(run), usual) * run.share_left for run in ahead)
        return left / max(1, len(now))


def read_status(results: Path) -> ExperimentStatus:
    """Read where every run of an experiment stands.

    Raises:
        DataError: the list of its runs is damaged.
    """
    listed = RunList.read(results / NAME)
    now, here = time.time(), socket.gethostname()
    runs = [
        _status(run, results / "runs" / run, run in listed.not_compared, now, here)
        for run in listed.runs
    ]
    return ExperimentStatus(listed.experiment, runs)


def _status(run: str, folder: Path, not_compared: bool, now: float, here: str) -> RunStatus:
    trained = read_heartbeat(folder / heartbeat.NAME)
    if not (folder / "train.json").is_file():
        # scores of a former training may still be there; those that say they are done are, too
        if trained is None or trained.state == "done":
            return _of(run, "waiting", None, now)
        return _of(run, _state(trained, now, here), trained, now)
    evaluated = read_heartbeat(folder / EVALUATION)
    if (folder / "metrics.json").is_file() or not_compared:
        return _of(run, "done", trained, now)
    if evaluated is None or evaluated.state == "done":
        return _of(run, "trained", trained, now)
    return _of(run, _state(evaluated, now, here), evaluated, now)


def _of(run: str, state: str, beat: Heartbeat | None, now: float) -> RunStatus:
    return RunStatus(run, state, beat, max(0.0, now - beat.beat) if beat else 0.0)


def _state(beat: Heartbeat, now: float, here: str) -> str:
    """What a heartbeat means by now: a process that was killed could not say so."""
    if beat.state in ("failed", "stopped", "done"):
        return beat.state
    if beat.host == here and not _lives(beat.process):
        return "stopped"
    silent = now - beat.beat
    patience = max(STALLED_SECONDS, STALLED_STEPS * (beat.seconds_each or 0.0))
    return "stalled" if beat.state != "waiting" and silent > patience else beat.state


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _model(run: RunStatus) -> str:
    return run.run.partition("/")[0]


def _lengths(runs: Sequence[RunStatus]) -> Mapping[str, float]:
    """Seconds of a whole training by model, the median where several are known."""
    found = defaultdict[str, list[float]](list)
    for run in runs:
        beat = run.beat
        if beat is not None and beat.seconds_each and run.state != "evaluating":
            left = (beat.total - beat.done) * beat.heavier
            found[_model(run)].append((beat.done + left) * beat.seconds_each)
    return {model: statistics.median(lengths) for model, lengths in found.items()}
