"""The run table: one row per model, initialization and seed, and where each row's files go."""

from collections.abc import Iterator
from dataclasses import dataclass

from segbench.config import Experiment, Training


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
    """Every run of an experiment, in the order of the config."""
    return list(_rows(experiment))


def _rows(experiment: Experiment) -> Iterator[RunKey]:
    for model in experiment.models:
        for initialization in experiment.initializations_of(model):
            for seed in experiment.seeds:
                yield RunKey(model, initialization, seed)


def recipe_settings(experiment: Experiment, model: str, initialization: str) -> dict[str, object]:
    """Plain values that, with a seed, shape the config of a run.

    Kept free of what other models ask for, so that a change to one leaves the others alone.
    """
    training: Training = experiment.training_of(model)
    settings: dict[str, object] = training.model_dump(exclude_none=True)
    if experiment.models[model].overrides:
        settings["overrides"] = experiment.models[model].overrides
    if initialization == "imagenet":
        settings["backbone_weights"] = experiment.models[model].backbone_weights
    return settings
