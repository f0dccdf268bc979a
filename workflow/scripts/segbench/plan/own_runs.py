"""Checkpoints of the workflow's own runs, which say themselves which classes they predict."""

from collections.abc import Mapping
from pathlib import Path

from segbench.errors import ConfigError, DataError
from segbench.system.run_list import NAME, RunList
from segbench.system.run_records import TrainRecord


def checkpoint_of_run(reference: str) -> str:
    """The checkpoint that a path means: a run's folder stands for its `best.pth`.

    Raises:
        ConfigError: it is the folder of a run that is not finished.
    """
    if not _is_run(reference):
        return reference
    checkpoint = Path(reference).expanduser() / "best.pth"
    if not checkpoint.is_file():
        raise ConfigError(
            f"{reference}: this run has no best.pth. Let it be trained to its end first, or name "
            "another checkpoint."
        )
    return str(checkpoint)


def classes_of_run(reference: str) -> tuple[str, ...] | None:
    """Names of the classes that a run's own checkpoint predicts, by id; None for other files.

    Args:
        reference: path of the checkpoint or of the run's folder.

    Raises:
        ConfigError: its record is damaged or of another version.
    """
    folder = Path(checkpoint_of_run(reference)).parent
    if not _is_run(str(folder)):
        return None
    try:
        return TrainRecord.read(folder.expanduser() / "train.json").classes
    except DataError as error:
        raise ConfigError(str(error)) from None


def with_models_of_runs(data: Mapping[str, object]) -> Mapping[str, object]:
    """A config in which a model whose checkpoint is a run of one's own is built as that run was.

    Args:
        data: the experiment config, not yet validated; a model may lack `config`.

    Raises:
        ConfigError: the run does not say how it was built.
    """
    models = data.get("models") if isinstance(data, Mapping) else None
    if not isinstance(models, Mapping):
        return data
    return {**data, "models": {name: _built(name, model) for name, model in models.items()}}


def _built(name: object, model: object) -> object:
    """The settings of a model; where they name no config, those of the run that it starts from."""
    if not isinstance(model, Mapping) or "config" in model:
        return model
    named = model.get("checkpoint")
    named = named.get("file") if isinstance(named, Mapping) else named
    folder = _run_folder(named) if isinstance(named, str) else None
    if folder is None:
        return model
    try:
        # results/<experiment>/runs/<model>/<initialization>/seed0
        built = RunList.read(folder.parents[3] / NAME).models[folder.parents[1].name]
    except (DataError, KeyError, IndexError):
        raise ConfigError(
            f"config: `models.{name}.config`: is left out, and the experiment of {named} does not "
            "say what it was. Write it."
        ) from None
    return {**built, **model}


def _run_folder(reference: str) -> Path | None:
    """The folder of the run that a path means, absolute; None where it is no run."""
    for folder in (reference, str(Path(reference).parent)):
        if _is_run(folder):
            return Path(folder).expanduser().resolve()
    return None


def _is_run(reference: str) -> bool:
    try:
        folder = Path(reference).expanduser()
        return all((folder / name).is_file() for name in ("config.py", "train.json"))
    except (OSError, RuntimeError, ValueError):  # too long for a path, or of nobody's home
        return False
