"""Refuse an experiment whose runs cannot start, with every reason at once."""

from collections.abc import Callable, Sequence

from segbench.config.experiment import TRANSFERRED
from segbench.config.training import UNEVEN
from segbench.errors import ConfigError, SegbenchError
from segbench.plan.runs import RunKey
from segbench.plan.source_classes import class_map_of
from segbench.plan.starts import StartingPoints, overridden
from segbench.zoo.names import published_batch


def refuse_problems(starts: StartingPoints) -> None:
    """Resolve everything that runs start from once.

    Raises:
        ConfigError: one line for every problem, naming the model and the key.
    """
    if starts.mirror is not None and not starts.mirror.is_dir():
        raise ConfigError(f"config: `weights.mirror`: no such folder: {starts.mirror}")
    _raise(_config_problems(starts))
    problems = list[str]()
    for run in starts.first_runs.values():
        problems += _start_problems(starts, run)
    _raise(problems)


def _config_problems(starts: StartingPoints) -> list[str]:
    """Configs of the user's own, and overrides, that cannot be read."""
    problems = list[str]()
    for model, settings in starts.experiment.models.items():
        # those of the zoo are known to be sound, and reading one takes time
        if "/" in settings.config or settings.overrides:
            place = f"config: `models.{model}`: "
            problems += _problems(place, overridden, settings.config, settings.overrides)
    return problems


def _start_problems(starts: StartingPoints, run: RunKey) -> list[str]:
    place = f"config: `models.{run.model}"
    problems = _problems(f"{place}`: ", _refuse_class_weights, starts, run)
    problems += _problems(f"{place}`: ", _refuse_uneven_batch, starts, run)
    key = "checkpoint" if run.initialization in TRANSFERRED else "backbone_weights"
    problems += _problems(f"{place}.{key}`: ", starts.weights, run)
    if run.initialization in TRANSFERRED:
        own = starts.experiment.models[run.model].class_map is not None
        key = f"{place}.class_map`: " if own else "config: `class_map`: "
        problems += _problems(key, class_map_of, starts, run.model)
    return problems


def _refuse_class_weights(starts: StartingPoints, run: RunKey) -> None:
    """Make sure that class weights in a list are as many as classes."""
    dataset = starts.trained_on(run)
    weights = starts.training(run).class_weights
    count = len(dataset.classes.classes)
    if run.initialization != "zero_shot" and isinstance(weights, tuple) and len(weights) != count:
        raise ConfigError(
            f"`class_weights` has {len(weights)} numbers, but {dataset.name} has {count} "
            "classes. Give one weight per class."
        )


def _refuse_uneven_batch(starts: StartingPoints, run: RunKey) -> None:
    """Make sure that the GPUs of a run can share a batch."""
    training, config = starts.training(run), starts.experiment.models[run.model].config
    batch, gpus = training.batch_size or published_batch(config), training.gpus_per_run or 1
    if run.initialization != "zero_shot" and batch is not None and batch % gpus:
        raise ConfigError(UNEVEN.format(batch=batch, devices=gpus))


def _problems(prefix: str, ask: Callable[..., object], *arguments: object) -> list[str]:
    try:
        ask(*arguments)
    except SegbenchError as error:
        return [prefix + line for line in str(error).splitlines()]
    return []


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
