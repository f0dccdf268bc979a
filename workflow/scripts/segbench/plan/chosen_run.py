"""Find the run that a user means: a folder, or the best run of an experiment.

Reads the tables of the comparison, and computes nothing.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from segbench.config.experiment import Experiment
from segbench.errors import ConfigError, did_you_mean
from segbench.system.run_records import EXTERNAL

TABLES = "tables"
KEYS = ("model", "initialization")


def chosen_run(named: str, root: Path = Path("results")) -> Path | None:
    """The folder of a run, None where the name is not that of a run or of an experiment.

    Args:
        named: folder of a run, or name or folder of an experiment, whose best run is then meant.
        root: folder of all results.

    Raises:
        ConfigError: the experiment is not finished.
    """
    for folder in (Path(named), root / named):
        if (folder / "config.py").is_file():
            return folder
        if (folder / "runs").is_dir():
            return _best_run(folder)
    return None


def files_of_prediction(experiment: Experiment, runs: Sequence[str], results: str) -> list[str]:
    """What must be there before images can be predicted.

    Args:
        experiment: the validated config.
        runs: paths of its runs below `runs/`.
        results: its folder.

    Raises:
        ConfigError: it names no images, or a run that it does not have.
    """
    settings = experiment.predict
    if settings is None:
        raise ConfigError(
            "config: `predict` names no images. Write `predict: FOLDER`, or set it on the command "
            "line: --config 'predict=FOLDER'"
        )
    if settings.run is None:
        return [f"{results}/{TABLES}/{name}.csv" for name in ("models", "runs")]
    if settings.run not in runs:
        hint = did_you_mean(settings.run, runs)
        raise ConfigError(f"config: `predict.run`: no run '{settings.run}'.{hint}")
    return [f"{results}/runs/{settings.run}/best.pth"]


def _best_run(results: Path) -> Path:
    """The run with the best mean IoU of the model that leads."""
    try:
        models = _rows(results / TABLES / "models.csv")
        runs = _rows(results / TABLES / "runs.csv")
    except OSError:
        raise ConfigError(
            f"{results}: is not finished, so its best model is not known. Run the workflow, or "
            f"name a run, such as {results}/runs/MODEL/scratch/seed0."
        ) from None
    # what another tool predicted cannot predict
    first = next(model for model in models if model["initialization"] != EXTERNAL)
    own = [run for run in runs if all(run[key] == first[key] for key in KEYS)]
    best = max(own, key=lambda run: float(run["miou"]))
    fold = f"-fold{best['fold']}" if best.get("fold") else ""
    repeat = f"seed{best['seed']}{fold}"
    return results / "runs" / best["model"] / best["initialization"] / repeat


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
