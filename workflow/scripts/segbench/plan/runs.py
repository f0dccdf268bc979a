"""The run table: one row per model, initialization and seed, and where each row's files go."""

from collections.abc import Iterator
from dataclasses import dataclass

from segbench.config.experiment import Experiment
from segbench.datasets.description import DatasetDescription

# what `finetuned` and `zero_shot` start from when it is trained here: a run that is not compared
SOURCE_RUN = "source"


@dataclass(frozen=True, slots=True)
class RunKey:
    """One training of an experiment.

    Attributes:
        model, initialization, seed: what is trained.
        fold: which fold it is validated on, None without cross-validation.
    """

    model: str
    initialization: str
    seed: int
    fold: int | None = None

    @classmethod
    def of(cls, model: str, initialization: str, repeat: str) -> "RunKey":
        """The run whose `repeat` is the last part of its path, without `seed`."""
        seed, _, fold = repeat.partition("-fold")
        return cls(model, initialization, int(seed), int(fold) if fold else None)

    @property
    def repeat(self) -> str:
        """Seed and fold, as in the path: `0` or `0-fold2`."""
        return str(self.seed) if self.fold is None else f"{self.seed}-fold{self.fold}"

    @property
    def path(self) -> str:
        """Folder of the run below the experiment's `runs/`."""
        return f"{self.model}/{self.initialization}/seed{self.repeat}"


def run_table(experiment: Experiment, dataset: DatasetDescription) -> list[RunKey]:
    """Every run that is compared on a dataset, in the order of the config."""
    return list(_rows(experiment, dataset))


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
