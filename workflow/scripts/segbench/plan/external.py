"""Predictions of other tools that take part in a comparison: where they lie, what they come from.

A dry run asks it: reads names, sizes and times, and no file.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from segbench.config.experiment import Experiment, External
from segbench.config.paths import located, looked_in
from segbench.datasets.description import DatasetDescription
from segbench.datasets.meaning import what_is_shown
from segbench.errors import ConfigError
from segbench.plan.runs import RunKey, external_runs
from segbench.system.contents import listing_of, stamps_of
from segbench.system.origins import digest_of


@dataclass(frozen=True)
class OutsideRun:
    """One folder of predictions, as a row of the run table.

    Attributes:
        key: of the row.
        folder: where the predictions lie.
        settings: how they are to be read.
    """

    key: RunKey
    folder: Path
    settings: External

    @property
    def words(self) -> dict[str, object]:
        """What of it a job is told, beside the folder."""
        settings = self.settings.model_dump(exclude={"predictions"})
        return {"name": self.key.model, "seed": self.key.seed, **settings}

    def names_file(self, target: DatasetDescription) -> str:
        """The list of the frames that are scored, below `splits/` of the prepared dataset."""
        scored = target.splits.names[-1]
        return f"{scored}.txt" if self.key.fold is None else f"fold{self.key.fold}/{scored}.txt"

    def origin(
        self, target: DatasetDescription, experiment: Experiment, code: Callable[[str], str]
    ) -> str:
        """What the scores come from.

        Args:
            target: what is compared on.
            experiment: the validated config.
            code: digest of a script, given its name.
        """
        return digest_of(
            code=code("score_predictions.py"),
            listing=_listing(self.folder),
            settings=self.settings.model_dump(exclude={"predictions"}),
            classes=what_is_shown(target),
            protocol=experiment.evaluation.protocol,
        )


def outside_runs(
    experiment: Experiment, target: DatasetDescription, folders: Sequence[Path]
) -> dict[str, OutsideRun]:
    """The predictions of other tools that are compared, by the path of their row.

    Args:
        experiment: the validated config.
        target: what is compared on.
        folders: where relative paths are looked for if the working directory lacks them.

    Raises:
        ConfigError: a folder is not there, or a class is said to be none; names the key.
    """
    found = dict[str, OutsideRun]()
    classes = [name for name, _ in what_is_shown(target)]
    for key in external_runs(experiment, target):
        settings = experiment.external[key.model]
        if settings.no_class is not None and settings.no_class < len(classes):
            raise ConfigError(
                f"config: `external.{key.model}.no_class`: {settings.no_class} is the class "
                f"'{classes[settings.no_class]}', which would count as wrong everywhere. Name a "
                f"value from {len(classes)} on."
            )
        named = settings.predictions[key.seed]
        folder = located(named, folders, Path.is_dir)
        if not folder.is_dir():
            raise ConfigError(
                f"config: `external.{key.model}`: no such folder: '{named}' "
                f"({looked_in(named, folders)})."
            )
        found[key.path] = OutsideRun(key, folder, settings)
    return found


@cache  # each fold asks for it
def _listing(folder: Path) -> str:
    """Digest of the names, sizes and times of the files below a folder."""
    files = (Path(place, file) for place, _, files in os.walk(folder) for file in files)
    below = sorted(str(file.relative_to(folder)) for file in files)
    return listing_of(stamps_of(folder, below))
