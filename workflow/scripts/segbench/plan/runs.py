"""The run table: one row per model, initialization and seed, and where each row's files go."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segbench.config.experiment import TRANSFERRED, Experiment
from segbench.datasets.description import DatasetDescription
from segbench.errors import ConfigError
from segbench.system.run_records import EXTERNAL

# in paths, what a training on the source dataset stands under instead of its initialization
SOURCE = "source"


@dataclass(frozen=True, slots=True)
class RunKey:
    """One training of an experiment.

    Attributes:
        model, initialization, seed: what is trained.
        fold: which fold it is validated on, None without cross-validation.
        on_source: trained on the source dataset, for other runs to start from; it is not compared.
    """

    model: str
    initialization: str
    seed: int
    fold: int | None = None
    on_source: bool = False

    @property
    def is_external(self) -> bool:
        """Whether another tool made the predictions, so that nothing is trained."""
        return self.initialization == EXTERNAL

    @property
    def start(self) -> str:
        """The middle part of its path."""
        return SOURCE if self.on_source else self.initialization

    @property
    def repeat(self) -> str:
        """Seed and fold, as in the path: `0` or `0-fold2`."""
        return str(self.seed) if self.fold is None else f"{self.seed}-fold{self.fold}"

    @property
    def path(self) -> str:
        """Folder of the run below the experiment's `runs/`."""
        return f"{self.model}/{self.start}/seed{self.repeat}"


def run_table(experiment: Experiment, dataset: DatasetDescription) -> list[RunKey]:
    """Every run of a model that is compared on a dataset, in the order of the config."""
    return list(_rows(experiment, dataset))


def external_runs(experiment: Experiment, dataset: DatasetDescription) -> list[RunKey]:
    """A row for each folder of another tool's predictions; for each fold that scores its own."""
    folds = None if dataset.splits.has_test else dataset.splits.folds
    return [
        RunKey(name, EXTERNAL, seed, fold)
        for name, outside in experiment.external.items()
        for seed in range(len(outside.predictions))
        for fold in (range(folds.count) if folds else (None,))
    ]


def compared_runs(
    experiment: Experiment, dataset: DatasetDescription, results: Path
) -> tuple[list[RunKey], list[str]]:
    """The runs that are compared, and the names of those that are left out.

    Args:
        experiment: the validated config; with `allow_missing` only runs that were evaluated count.
        dataset: what is compared on.
        results: folder of the experiment.

    Raises:
        ConfigError: `allow_missing` leaves nothing to compare.
    """
    runs = [*run_table(experiment, dataset), *external_runs(experiment, dataset)]
    if not experiment.allow_missing:
        return runs, []
    # what another tool predicted is there already
    finished = [
        run
        for run in runs
        if run.is_external or (results / "runs" / run.path / "metrics.json").is_file()
    ]
    if all(run.is_external for run in finished):
        raise ConfigError(
            f"config: `allow_missing`: no run of '{experiment.experiment}' is finished, so nothing "
            "can be compared. Leave it out."
        )
    return finished, [run.path for run in runs if run not in finished]


def source_run(experiment: Experiment, run: RunKey) -> RunKey | None:
    """The run on the source dataset that another one starts from, if it starts from one."""
    source = experiment.source
    if run.on_source or run.initialization not in TRANSFERRED or source is None or source.is_zoo:
        return None
    return RunKey(run.model, source.initialization, run.seed, on_source=True)


def _rows(experiment: Experiment, dataset: DatasetDescription) -> Iterator[RunKey]:
    folds = dataset.splits.folds
    for model in experiment.models:
        for initialization in experiment.initializations_of(model):
            for seed in _seeds(experiment, initialization):
                for fold in range(folds.count) if folds else (None,):
                    yield RunKey(model, initialization, seed, fold)


def _seeds(experiment: Experiment, initialization: str) -> tuple[int, ...]:
    """A published checkpoint that is evaluated as it is has nothing that a seed could change."""
    published = experiment.source is not None and experiment.source.is_zoo
    return experiment.seeds[:1] if published and initialization == "zero_shot" else experiment.seeds
