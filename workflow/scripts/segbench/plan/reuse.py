"""Which planned trainings will be taken from the work folder instead, as far as that is known."""

import sys
from collections.abc import Mapping
from pathlib import Path

from segbench.errors import DataError
from segbench.plan.starts import StartingPoints
from segbench.system.origins import read_origin
from segbench.system.provenance import run_digest

RESULTS = ("best.pth", "history.csv", "train.json")
MADE = ("best.pth", "metrics.json")  # without the second, the first is needed again


def trained_before(
    starts: StartingPoints, origins: Mapping[str, str], code: str, work: Path
) -> list[str]:
    """Runs without results whose training is known to be finished.

    Known is only what has a config: nothing is rendered here, because that takes time.

    Args:
        starts: the runs of the experiment.
        origins: what every config would come from now, by its path.
        code: digest of the code that trains.
        work: folder of the trainings, each under its digest.

    Returns:
        Their names, `model/initialization/seed0`.
    """
    found = []
    for run in starts.runs:
        folder = Path(starts.results) / "runs" / run.path
        config = folder / "config.py"
        origin = read_origin(config)
        if any((folder / name).exists() for name in MADE) or not config.is_file() or origin is None:
            continue
        if run.initialization == "zero_shot" or origin.came_from != origins[str(config)]:
            continue
        manifest = Path("results/datasets") / starts.trained_on(run).name / "manifest.json"
        weights = next(iter(starts.inputs(run)), None)
        try:
            digest = run_digest(config, manifest, code, Path(weights) if weights else None)
        except (DataError, OSError):  # not there yet
            continue
        if all((work / digest / name).is_file() for name in RESULTS):
            found.append(run.path)
    return found


def say_what_is_reused(
    starts: StartingPoints, origins: Mapping[str, str], code: str, work: Path
) -> None:
    """Say which trainings of a plan are there already; takes what `trained_before` takes."""
    if found := trained_before(starts, origins, code, work):
        names = ", ".join(found)
        print(f"Trained before with the same settings, and only linked: {names}", file=sys.stderr)
