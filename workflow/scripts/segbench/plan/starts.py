"""What every run starts from: weights files, source checkpoints and class maps.

Everything is resolved, and refused, before anything runs. A dry run asks it: imports MMEngine's
config where a zoo config must be read, never torch or mmseg.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segbench.config.class_maps import ClassMap, class_map
from segbench.config.experiment import TRANSFERRED, Experiment, Weights
from segbench.config.training import Training
from segbench.datasets.description import DatasetDescription
from segbench.errors import ConfigError, SegbenchError
from segbench.plan.runs import SOURCE_RUN, RunKey, run_table
from segbench.plan.weights import WeightsFile, weights_file
from segbench.system.urls import shown
from segbench.zoo import pretrained


@dataclass(frozen=True)
class StartingPoints:
    """The starting points of an experiment.

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

    def weights(self, model: str, initialization: str) -> WeightsFile | None:
        """The weights file that a run starts from, if it starts from one.

        Raises:
            ConfigError: it is not known, not there, or cannot be got.
        """
        if initialization == SOURCE_RUN and self.experiment.source is not None:
            initialization = self.experiment.source.initialization
        settings = self.experiment.models[model]
        if initialization == "imagenet":
            given = settings.backbone_weights
            if given is None:
                given = Weights(
                    file=pretrained.backbone_reference(
                        settings.config, overridden(settings.config, settings.overrides)
                    )
                )
            return self._file(given)
        if initialization in TRANSFERRED and self._from_zoo:
            if settings.checkpoint is not None:
                return self._file(settings.checkpoint)
            url, sha256 = pretrained.published_checkpoint(settings.config)
            return self._file(Weights(file=url, sha256=sha256 or None))
        return None

    def files(self) -> dict[str, WeightsFile]:
        """Every weights file that must be got first, by the path where it will lie.

        Raises:
            ConfigError: two hashes are given for one file.
        """
        files = dict[str, WeightsFile]()
        for model, start in self._model_starts():
            file = self.weights(model, start)
            if file is None or not file.origin:
                continue
            if files.setdefault(str(file.path), file) != file:
                raise ConfigError(
                    f"config: `models.{model}`: another `sha256` is given for {shown(file.origin)} "
                    "than elsewhere. Keep the right one."
                )
        return files

    def inputs(self, run: RunKey) -> list[str]:
        """Files with weights that a run starts from."""
        if run.initialization in TRANSFERRED and not self._from_zoo:
            source = RunKey(run.model, SOURCE_RUN, run.seed)
            return [f"{self.results}/runs/{source.path}/best.pth"]
        file = self.weights(run.model, run.initialization)
        return [] if file is None else [str(file.path)]

    def all_runs(self) -> list[RunKey]:
        """The runs that are compared, and those on the source dataset that they start from."""
        runs = run_table(self.experiment, self.target)
        if self._from_zoo:
            return runs
        sources = [
            RunKey(run.model, SOURCE_RUN, run.seed)
            for run in runs
            if run.initialization in TRANSFERRED
        ]
        return [*dict.fromkeys(sources), *runs]

    def trained_on(self, initialization: str) -> DatasetDescription:
        """The dataset of a run: the one that is compared on, or the one before it."""
        if initialization == SOURCE_RUN and self.source is not None:
            return self.source
        return self.target

    def class_map(self, model: str) -> ClassMap:
        """How the classes of a model's source checkpoint belong to those of the target.

        Raises:
            ConfigError: a name is unknown, or no class has a counterpart.
        """
        settings = self.experiment.models[model]
        names = (
            pretrained.classes_of_checkpoint(settings.config)
            if self.source is None
            else _names(self.source)
        )
        given = self.experiment.class_map if settings.class_map is None else settings.class_map
        return class_map(names, _names(self.target), given, *self.folders)

    def settings(self, run: RunKey) -> dict[str, Any]:
        """Plain values that shape the config of a run.

        Kept free of what other models ask for, so that a change to one leaves the others alone.
        """
        model, starts_from = run.model, run.initialization
        training = self._training(model, starts_from)
        if starts_from == SOURCE_RUN and self.experiment.source is not None:
            starts_from = self.experiment.source.initialization
        settings: dict[str, Any] = {"training": training.model_dump(exclude_none=True)}
        settings |= {"initialization": starts_from, "seed": run.seed}
        if run.fold is not None:
            settings["fold"] = run.fold
        if self.experiment.models[model].overrides:
            settings["overrides"] = self.experiment.models[model].overrides
        if files := self.inputs(run):
            settings["weights"] = files[0]
        if run.initialization in TRANSFERRED:
            mapped = self.class_map(model)
            settings["source_classes"] = list(mapped.source)
            settings["class_map"] = list(mapped.ids)
        return settings

    def refuse_problems(self) -> None:
        """Resolve everything once.

        Raises:
            ConfigError: one line for every problem, naming the model and the key.
        """
        problems: list[str] = []
        if self._mirror is not None and not self._mirror.is_dir():
            raise ConfigError(f"config: `weights.mirror`: no such folder: {self._mirror}")
        for model, settings in self.experiment.models.items():
            # those of the zoo are known to be sound, and reading one takes time
            if "/" in settings.config or settings.overrides:
                place = f"config: `models.{model}`: "
                problems += _problems(place, overridden, settings.config, settings.overrides)
        if problems:
            raise ConfigError("\n".join(dict.fromkeys(problems)))
        for model, start in self._model_starts():
            problems += _problems(
                f"config: `models.{model}`: ", self._refuse_class_weights, model, start
            )
            key = "checkpoint" if start in TRANSFERRED else "backbone_weights"
            place = f"config: `models.{model}.{key}`: "
            problems += _problems(place, self.weights, model, start)
            if start in TRANSFERRED:
                own = self.experiment.models[model].class_map is not None
                place = f"config: `models.{model}.class_map`: " if own else "config: `class_map`: "
                problems += _problems(place, self.class_map, model)
        if problems:
            raise ConfigError("\n".join(dict.fromkeys(problems)))

    def _model_starts(self) -> list[tuple[str, str]]:
        """Every model with every initialization that it is trained in, source runs included."""
        return list(dict.fromkeys((run.model, run.initialization) for run in self.all_runs()))

    def _training(self, model: str, initialization: str) -> Training:
        training = self.experiment.training_of(model)
        if initialization == SOURCE_RUN and self.experiment.source is not None:
            return training.overridden_by(self.experiment.source.training, "source.training")
        return training

    def _refuse_class_weights(self, model: str, initialization: str) -> None:
        """Make sure that class weights in a list are as many as classes."""
        dataset = self.trained_on(initialization)
        weights = self._training(model, initialization).class_weights
        count = len(dataset.classes.classes)
        if initialization != "zero_shot" and isinstance(weights, tuple) and len(weights) != count:
            raise ConfigError(
                f"`class_weights` has {len(weights)} numbers, but {dataset.name} has {count} "
                "classes. Give one weight per class."
            )

    @property
    def _from_zoo(self) -> bool:
        source = self.experiment.source
        return source is not None and source.is_zoo

    @property
    def _mirror(self) -> Path | None:
        mirror = self.experiment.weights.mirror
        return None if mirror is None else Path(mirror).expanduser()

    def _file(self, given: Weights) -> WeightsFile:
        return weights_file(given.file, given.sha256 or "", self._mirror)


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


def _problems(prefix: str, ask: Callable[..., object], *arguments: object) -> Sequence[str]:
    try:
        ask(*arguments)
    except SegbenchError as error:
        return [prefix + line for line in str(error).splitlines()]
    return []


def _names(description: DatasetDescription) -> tuple[str, ...]:
    return tuple(found.name for found in description.classes.classes)
