"""Checkpoints of the workflow's own runs, which say themselves which classes they predict."""

from pathlib import Path

from segbench.errors import ConfigError, DataError
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


def _is_run(reference: str) -> bool:
    try:
        folder = Path(reference).expanduser()
        return all((folder / name).is_file() for name in ("config.py", "train.json"))
    except (OSError, RuntimeError, ValueError):  # too long for a path, or of nobody's home
        return False
