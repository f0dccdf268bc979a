"""Which runs an experiment has, in a small file for those who watch it.

A workflow writes it when it starts; `python -m segbench status` reads it without planning anything.
"""

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import Field

from segbench.system.records import Record

NAME = "runs.json"


class RunList(Record):
    """`runs.json`: the runs of an experiment, in the order of its config.

    Attributes:
        experiment: its name.
        runs: paths below `runs/`, those on a source dataset first.
        not_compared: those on a source dataset, which are trained and not evaluated.
        models: `config` and `overrides` of each model, so that a run can be the checkpoint of
            another experiment.
    """

    experiment: str
    runs: tuple[str, ...]
    not_compared: frozenset[str] = frozenset()
    models: dict[str, dict[str, object]] = Field(default_factory=dict)


def write_run_list(
    results: Path,
    runs: Iterable[str],
    not_compared: Iterable[str],
    models: Mapping[str, dict[str, object]],
) -> None:
    """Write the list into the folder of an experiment; a folder that is read-only is left."""
    found = RunList(
        experiment=results.name,
        runs=tuple(runs),
        not_compared=frozenset(not_compared),
        models=dict(models),
    )
    with contextlib.suppress(OSError):
        results.mkdir(parents=True, exist_ok=True)
        found.write(results / NAME)
