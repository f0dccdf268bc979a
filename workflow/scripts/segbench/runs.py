"""The run table: one row per model, initialization and seed, and where each row's files go."""

from collections.abc import Iterator
from dataclasses import dataclass

from segbench.config import Experiment

# what `finetuned` and `zero_shot` start from when it is trained here: a run that is not compared
SOURCE_RUN = "source"


@dataclass(frozen=True, slots=True)
class RunKey:
    """One training of an experiment."""

    model: str
    initialization: str
    seed: int

    @property
    def path(self) -> str:
        """Folder of the run below the experiment's `runs/`."""
        return f"{self.model}/{self.initialization}/seed{self.seed}"


def run_table(experiment: Experiment) -> list[RunKey]:
    """Every run that is compared, in the order of the config."""
    return list(_rows(experiment))


def _rows(experiment: Experiment) -> Iterator[RunKey]:
    for model in experiment.models:
        for initialization in experiment.initializations_of(model):
            for seed in _seeds(experiment, initialization):
                yield RunKey(model, initialization, seed)


def _seeds(experiment: Experiment, initialization: str) -> tuple[int, ...]:
    """A published checkpoint that is evaluated as it is has nothing that a seed could change."""
    published = experiment.source is not None and experiment.source.is_zoo
    return experiment.seeds[:1] if published and initialization == "zero_shot" else experiment.seeds
