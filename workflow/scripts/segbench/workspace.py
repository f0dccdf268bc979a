"""Refuse to start where the work cannot end: no place to write, nothing to read."""

import os
from pathlib import Path

from segbench.datasets.description import DatasetDescription
from segbench.errors import ConfigError


def refuse_unwritable(folder: Path) -> None:
    """Make sure that a folder can be written, or made.

    Raises:
        ConfigError: names the folder, or the one above it that stands in the way.
    """
    existing = folder
    while not os.path.lexists(existing):
        existing = existing.parent
    if not existing.is_dir():
        raise ConfigError(
            f"{existing.absolute()}: is no folder, so results cannot be written there"
        )
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigError(
            f"{existing.absolute()}: no permission to write results there. Change its permissions, "
            "or run in another folder with: snakemake --directory FOLDER"
        )


def refuse_missing_source(dataset: DatasetDescription, prepared: Path) -> None:
    """Make sure that a dataset's source exists, unless it was prepared before.

    Raises:
        ConfigError: names the missing folder or archive and how to say where it lies.
    """
    path = dataset.source.path
    if path is None or Path(path).exists():
        return
    if (prepared / dataset.name / "manifest.json").exists():
        return
    what = "archive" if dataset.source.is_archive else "folder"
    raise ConfigError(
        f"{path}: no such {what}, so the dataset '{dataset.name}' cannot be prepared. Put it "
        f"there, correct `source` in its description, or say where it lies: "
        f"--config 'dataset_sources={{{dataset.name}: PATH}}'"
    )
