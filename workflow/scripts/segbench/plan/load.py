"""Read an experiment and the datasets it names, and refuse what cannot be run.

The sections of a config judge themselves (`segbench.config`); here they are judged against the
model zoo and the dataset descriptions. A dry run does this first.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from segbench.config.experiment import RESERVED, TRANSFERRED, Experiment
from segbench.config.paths import located, looked_in
from segbench.config.schema import parse_section
from segbench.datasets.description import DatasetDescription, load_description
from segbench.datasets.slice_table import SliceTable
from segbench.errors import ConfigError
from segbench.plan.own_runs import with_models_of_runs
from segbench.zoo.families import crop_problem
from segbench.zoo.index import needs_of
from segbench.zoo.names import config_path
from segbench.zoo.requirements import missing, refusal


def load_experiment(data: Mapping[str, object], origin: str = "config") -> Experiment:
    """Validate a merged experiment config, and everything that can be checked at once.

    Args:
        data: the merged YAML data, for instance Snakemake's `config`.
        origin: what messages call the config.

    Raises:
        ConfigError: one line for every problem found, naming the key and the remedy.
    """
    experiment = parse_section(Experiment, with_models_of_runs(data), origin)
    problems: list[str] = []
    if experiment.experiment in RESERVED:
        problems.append(
            f"{origin}: `experiment`: '{experiment.experiment}' is a folder that segbench uses "
            "itself under results/; choose another name."
        )
    for name in experiment.models:
        try:
            problems += [f"{origin}: {problem}" for problem in _model_problems(experiment, name)]
        except ConfigError as error:  # its own training settings do not fit those for all
            problems.append(f"{origin}: `models.{name}.training`: {error}")
    problems += [
        f"{origin}: `external.{name}`: a model has this name, too; choose another one."
        for name in experiment.external
        if name in experiment.models
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    return experiment


def load_datasets(experiment: Experiment, *folders: Path) -> list[DatasetDescription]:
    """Load the descriptions of an experiment's datasets, with their sources put in place.

    Args:
        experiment: the validated config.
        folders: where descriptions are looked for, one after another, if the working directory
            lacks them.

    Returns:
        The dataset that models are compared on, and the one of `source` if there is one.

    Raises:
        ConfigError: a description or `dataset_sources` is wrong.
    """
    paths = [experiment.dataset]
    if experiment.source and not experiment.source.is_zoo and experiment.transfers:
        paths.append(experiment.source.dataset)
    found = [
        _described(key, path, folders)
        for key, path in zip(("dataset", "source.dataset"), paths, strict=False)
    ]
    names = [description.name for description in found]
    if len(set(names)) < len(names):
        raise ConfigError(
            f"config: `source.dataset`: the source is '{names[0]}', the dataset that models are "
            "compared on. Name another dataset, or leave out `finetuned` and `zero_shot`."
        )
    for name in experiment.dataset_sources:
        if name not in names:
            raise ConfigError(
                f"config: `dataset_sources.{name}`: this experiment has no such dataset. "
                f"Valid: {', '.join(names)}."
            )
    sources = experiment.dataset_sources
    placed = [one.at(sources[one.name]) if one.name in sources else one for one in found]
    if len(placed) > 1 and _same_but_for_the_name(*placed):
        raise ConfigError(
            f"config: `source.dataset`: '{names[1]}' differs from '{names[0]}', the dataset that "
            "models are compared on, in its name only. Name another dataset, or leave out "
            "`finetuned` and `zero_shot`."
        )
    _refuse_slices(experiment, placed[0], folders)
    return placed


def _refuse_slices(
    experiment: Experiment, target: DatasetDescription, folders: Sequence[Path]
) -> None:
    if experiment.slices is None:
        return
    if target.splits.folds and not target.splits.has_test:
        raise ConfigError(
            "config: `slices`: each fold has images of its own, so there are no scores on parts "
            "of them. Leave out `slices` or the folds."
        )
    SliceTable.read(_file_of("slices", experiment.slices, folders))


def _same_but_for_the_name(one: DatasetDescription, other: DatasetDescription) -> bool:
    # what is said about a dataset makes it no other one
    return one.model_copy(update={"name": other.name, "about": other.about}) == other


def _described(key: str, path: str, folders: Sequence[Path]) -> DatasetDescription:
    valid = " 'zoo', or" if key.startswith("source") else ""
    remedy = (
        f" Name{valid} the path of a dataset description (config/datasets/ has some, and a "
        "template for your own)."
    )
    return load_description(_file_of(key, path, folders, remedy))


def _file_of(key: str, path: str, folders: Sequence[Path], remedy: str = "") -> Path:
    """The file that a key names."""
    found = located(path, folders)
    if not found.is_file():
        raise ConfigError(
            f"config: `{key}`: no such file: '{path}' ({looked_in(path, folders)}).{remedy}"
        )
    return found


def _model_problems(experiment: Experiment, name: str) -> list[str]:
    model, training = experiment.models[name], experiment.training_of(name)
    problems = []
    try:
        path = config_path(model.config)
        # what overrides, or a config of one's own, have replaced is known when it is rendered
        as_published = "/" not in model.config and not model.overrides
        if as_published and (lacking := missing(needs_of(path))):
            problems.append(f"`models.{name}.config`: '{model.config}' {refusal(lacking)}")
    except ConfigError as error:
        problems.append(f"`models.{name}.config`: {error}")
    if training.crop_size and (problem := crop_problem(model.config, training.crop_size)):
        problems.append(f"`models.{name}`: {problem}")
    return problems + _initialization_problems(experiment, name)


def _initialization_problems(experiment: Experiment, name: str) -> list[str]:
    problems = []
    initializations = experiment.initializations_of(name)
    if not initializations:
        problems.append(f"`models.{name}.initializations`: at least one entry is needed.")
    if len(set(initializations)) < len(initializations):
        problems.append(f"`models.{name}.initializations`: an entry is listed twice.")
    source = experiment.source
    if source is not None and not source.is_zoo and experiment.models[name].checkpoint:
        problems.append(
            f"`models.{name}.checkpoint`: has no effect, because `source` has the models trained "
            "here. Leave it out, or write `source: zoo`."
        )
    if source is None and (needy := set(initializations) & set(TRANSFERRED)):
        problems.append(
            f"`models.{name}`: the initialization '{min(needy)}' needs `source`: 'zoo' for "
            "published checkpoints, or {dataset: PATH} to train on another dataset first."
        )
    return problems
