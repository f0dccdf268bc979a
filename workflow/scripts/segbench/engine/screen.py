"""Train a candidate of a screening to the end of a round. Imports torch and mmseg.

What it trains is the beginning of the whole training, with its schedule, and pauses there. So a
candidate that goes on loses nothing, and ends as if it had never paused.
"""

import csv
import math
from pathlib import Path

from segbench.engine.build import load_config
from segbench.engine.execution import Execution
from segbench.engine.train import train_in_work
from segbench.recipe.section import RunSection
from segbench.scores.halving import last_iteration
from segbench.system.screening_records import BriefTraining, Point


def train_briefly(
    config_path: Path,
    manifest_path: Path,
    work: Path,
    code: str,
    execution: Execution,
    share: float,
) -> BriefTraining:
    """Train a run up to a share of its iterations.

    Args:
        config_path: rendered config.
        manifest_path: `manifest.json` of the prepared dataset.
        work: folder for states of unfinished trainings, of any number of runs.
        code: digest of the code that shapes a training.
        execution: how it is carried out.
        share: of its iterations; it ends at the next validation.

    Raises:
        DataError, ModelError, StoppedError: as `segbench.engine.train.train`.
    """
    config = load_config(config_path)
    section, planned = RunSection.of(config), config.train_cfg
    until = last_iteration(share, planned.max_iters, planned.val_interval)
    paused = execution.model_copy(update={"until": until})
    trained = train_in_work(config_path, manifest_path, config_path.parent, work, code, paused)
    return BriefTraining(
        candidate=section.run.rpartition("/")[0],
        iteration=until,
        iterations=planned.max_iters,
        curve=_validations(trained / "history.csv", until),
    )


def _validations(history: Path, until: int) -> tuple[Point, ...]:
    """The validations of a training up to an iteration; it may have been trained longer before."""
    with history.open(newline="") as file:
        rows = [(int(row["iteration"]), row["val_miou"]) for row in csv.DictReader(file)]
    scored = [(iteration, float(score)) for iteration, score in rows if score]
    # JSON has no NaN; a model that predicts nothing that is there has nothing
    return tuple((i, 0.0 if math.isnan(s) else s) for i, s in scored if i <= until)
