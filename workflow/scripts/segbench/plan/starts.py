"""What every run starts from: weights files, and the runs on a source dataset.

Everything is resolved before anything runs. A dry run asks it: imports MMEngine's config where a
zoo config must be read, never torch or mmseg.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from segbench.config.experiment import TRANSFERRED, Experiment, Weights
from segbench.config.training import Training
from segbench.datasets.description import DatasetDescription
from segbench.errors import ConfigError
from segbench.plan.runs import RunKey, run_table, source_run
from segbench.plan.weights import WeightsFile, weights_file
from segbench.system.urls import shown
from segbench.zoo import pretrained


@dataclass(frozen=True)
class StartingPoints:
    """The runs of an experiment and what they start from.

    Attributes:
        experiment: the validated config.
        target: dataset that models are compared on.
        source: dataset that source models are trained on here, if any.
        results: folder of the experiment.
        folders: where relative paths are looked for if the working directory lacks them.
    """

    experiment: Experiment
    target: DatasetDescription
    source: DatasetDescription | None
    results: str
    folders: tuple[Path, ...] = ()

    @cached_property
    def runs(self) -> tuple[RunKey, ...]:
        """The runs on the source dataset, and then those that are compared."""
        compared = run_table(self.experiment, self.target)
        sources = (source_run(self.experiment, run) for run in compared)
        return (*dict.fromkeys(run for run in sources if run is not None), *compared)

    @cached_property
    def first_runs(self) -> dict[tuple[str, str], RunKey]:
        """The first run of every model and start, which stands for its other seeds and folds."""
        found = dict[tuple[str, str], RunKey]()
        for run in self.runs:
            found.setdefault((run.model, run.start), run)
        return found

    @property
    def listed(self) -> tuple[list[str], list[str]]:
        """Paths of all runs, and of those that are not compared."""
        not_compared = [run.path for run in self.runs if run.on_source]
        return [run.path for run in self.runs], not_compared

    def run(self, model: str, start: str, repeat: str) -> RunKey:
        """The run whose path has these parts.

        Raises:
            ConfigError: the experiment has no such run.
        """
        try:
            return self._by_path[f"{model}/{start}/seed{repeat}"]
        except KeyError:
            raise ConfigError(
                f"the experiment '{self.experiment.experiment}' has no run "
                f"{model}/{start}/seed{repeat}"
            ) from None

    def trained_on(self, run: RunKey) -> DatasetDescription:
        """The dataset of a run: the one that is compared on, or the one before it."""
        return self.source if run.on_source and self.source is not None else self.target

    def training(self, run: RunKey) -> Training:
        """How a run is trained."""
        training, source = self.experiment.training_of(run.model), self.experiment.source
        if run.on_source and source is not None:
            return training.overridden_by(source.training, "source.training")
        return training

    def weights(self, run: RunKey) -> WeightsFile | None:
        """The weights file that a run starts from, None where there is none before it runs.

        Raises:
            ConfigError: it is not known, not there, or cannot be got.
        """
        model = self.experiment.models[run.model]
        if run.initialization == "imagenet":
            given = model.backbone_weights or Weights(
                file=pretrained.backbone_reference(
                    model.config, overridden(model.config, model.overrides)
                )
            )
        elif run.initialization not in TRANSFERRED or source_run(self.experiment, run):
            return None
        elif model.checkpoint is not None:
            given = model.checkpoint
        else:
            url, sha256 = pretrained.published_checkpoint(model.config)
            given = Weights(file=url, sha256=sha256 or None)
        return weights_file(given.file, given.sha256 or "", self.mirror)

    def files(self) -> dict[str, WeightsFile]:
        """Every weights file that must be got first, by the path where it will lie.

        Raises:
            ConfigError: two hashes are given for one file.
        """
        files = dict[str, WeightsFile]()
        for run in self.first_runs.values():
            file = self.weights(run)
            if file is None or not file.origin:
                continue
            if files.setdefault(str(file.path), file) != file:
                raise ConfigError(
                    f"config: `models.{run.model}`: another `sha256` is given for "
                    f"{shown(file.origin)} than elsewhere. Keep the right one."
                )
        return files

    def inputs(self, run: RunKey) -> list[str]:
        """Files with weights that a run starts from."""
        if source := source_run(self.experiment, run):
            return [f"{self.results}/runs/{source.path}/best.pth"]
        file = self.weights(run)
        return [] if file is None else [str(file.path)]

    @cached_property
    def mirror(self) -> Path | None:
        """Folder that takes the place of the network."""
        mirror = self.experiment.weights.mirror
        return None if mirror is None else Path(mirror).expanduser()

    @cached_property
    def _by_path(self) -> dict[str, RunKey]:
        return {run.path: run for run in self.runs}


def overridden(name: str, overrides: Mapping[str, Any]) -> Any:
    """A config of the zoo, or a user's own, with the user's overrides merged into it.

    Raises:
        SegbenchError: it cannot be read, or the overrides do not fit.
    """
    config = pretrained.read(name)
    if not overrides:
        return config
    # only where it is needed, because it imports MMEngine and dry runs are frequent
    from segbench.recipe.overrides import merge_overrides

    merged = copy.deepcopy(config)
    merge_overrides(merged, overrides)
    return merged
