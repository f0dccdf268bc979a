"""The experiment config: what config/config.yaml may say, checked before anything runs.

The models here are the contract with the user: the JSON schema and the tables of
config/README.md are generated from them (`segbench.documentation`). Checks that need only the
config and the files it names happen here; knows nothing about Snakemake, torch or mmseg.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, PlainValidator, field_validator, model_validator

from segbench import zoo
from segbench.datasets.description import DatasetDescription, load_description
from segbench.errors import ConfigError
from segbench.schema import (
    Count,
    Name,
    Rate,
    Section,
    Seed,
    Size,
    number_from_text,
    parse_section,
    tuple_from_list,
)

Initialization = Literal["scratch", "imagenet"]
Precision = Literal["float32", "bfloat16"]
RESERVED = ("datasets", "work", "logs", "benchmarks", "report.html")
LATER_INITIALIZATIONS = ("finetuned", "zero_shot")


def _refuse_later(value: Any) -> Any:
    """Say plainly that an initialization of the design is not built yet."""
    listed = value if isinstance(value, list | tuple) else []
    later = [one for one in listed if one in LATER_INITIALIZATIONS]
    if later:
        raise ValueError(
            f"'{later[0]}' is planned but not available in this version. "
            "Valid today: imagenet, scratch."
        )
    return tuple_from_list(value)


Initializations = Annotated[tuple[Initialization, ...], BeforeValidator(_refuse_later)]


def _weights_or_scheme(value: Any) -> Any:
    """Accept the name of a formula, or positive numbers."""
    if isinstance(value, list | tuple):
        numbers = tuple(map(number_from_text, value))
        if all(isinstance(number, float) and number > 0 for number in numbers):
            return numbers
    elif value is None or value in WEIGHT_SCHEMES:
        return value
    raise ValueError(
        f"{value!r} is not valid: name one of {', '.join(WEIGHT_SCHEMES)}, or list one positive "
        "weight per class."
    )


WeightScheme = Literal["median_frequency", "enet"]
WEIGHT_SCHEMES = get_args(WeightScheme)
ClassWeights = Annotated[
    str | tuple[float, ...],
    PlainValidator(_weights_or_scheme, json_schema_input_type=WeightScheme | list[float]),
]


class Training(Section):
    """How models are trained; a key left out keeps what the model's zoo config says."""

    crop_size: Size | None = Field(
        default=None, description="height and width of the training crop, in pixels"
    )
    batch_size: Count | None = Field(
        default=None,
        description="images per iteration; the learning rate is scaled with it (linear rule)",
    )
    max_iters: Count | None = Field(
        default=None, description="iterations; the schedule, warm-up included, scales with it"
    )
    val_interval: Count | None = Field(
        default=None,
        description="iterations between two validations; default: a tenth of `max_iters`",
    )
    learning_rate: Rate | None = Field(
        default=None,
        description="peak learning rate, taken as it is; default: the zoo's, by the linear rule",
    )
    precision: Precision | None = Field(
        default=None,
        description="`float32`, or `bfloat16` for mixed precision: two to three times faster in "
        "training, on a GPU or a CPU that computes in it; scores are always computed in float32; "
        "default: `float32`",
    )
    class_weights: ClassWeights | None = Field(
        default=None,
        description="weights of the classes in cross-entropy and focal losses: "
        "`median_frequency` or `enet`, computed from the training labels, or a list with one "
        "weight per class; default: none",
    )
    rare_class_sampling: Rate | None = Field(
        default=None,
        description="temperature of rare class sampling, such as 0.01: a class is drawn in "
        "proportion to exp((1 - its share of the pixels) / temperature), then an image that shows "
        "it; default: every image once in each epoch",
    )
    image_size: Size | None = Field(
        default=None,
        description="size to which images are resized (ratio kept) before augmentation and at "
        "test time; default: the images' own size. Scores are always at the labels' own size",
    )

    @model_validator(mode="after")
    def _validation_happens(self) -> Self:
        if self.val_interval and self.max_iters and self.val_interval > self.max_iters:
            raise ValueError(
                f"val_interval ({self.val_interval}) is larger than max_iters "
                f"({self.max_iters}), so the model would never be validated"
            )
        return self

    def overridden_by(self, other: "Training") -> "Training":
        """This section with the keys that `other` sets taking precedence."""
        merged = self.model_dump(exclude_none=True) | other.model_dump(exclude_none=True)
        return parse_section(Training, merged, "training")


def _model_from_name(value: Any) -> Any:
    return {"config": value} if isinstance(value, str) else value


class Model(Section):
    """One model to compare: a name from MMSegmentation's zoo, or a mapping with more."""

    config: str = Field(description="config name from the zoo, or a path to your own mmseg config")
    training: Training = Field(
        default=Training(), description="overrides of `training` for this model alone"
    )
    initializations: Initializations | None = Field(
        default=None, description="overrides of `initializations` for this model alone"
    )
    overrides: dict[str, Any] = Field(
        default={},
        description="merged into the zoo config before it is adapted, by MMEngine's rules "
        "(nested keys, `_delete_: true`)",
    )
    backbone_weights: str | None = Field(
        default=None,
        description="local checkpoint with the backbone's ImageNet weights, for `imagenet`",
    )


ModelOrName = Annotated[
    Model, BeforeValidator(_model_from_name, json_schema_input_type=str | Model)
]


class Experiment(Section):
    """The whole config file."""

    experiment: Name = Field(description="names the folder under `results/`")
    dataset: str = Field(description="path of the dataset description, in `config/datasets/`")
    dataset_sources: dict[Name, str] = Field(
        default={},
        description="where a dataset lies on this machine (folder or archive), by dataset name; "
        "takes the place of `source` in its description",
    )
    models: dict[Name, ModelOrName] = Field(
        min_length=1, description="the models to compare: a short name of yours for each"
    )
    initializations: Initializations = Field(
        default=("scratch",), min_length=1, description="what every weight starts from"
    )
    seeds: Annotated[tuple[Seed, ...], BeforeValidator(tuple_from_list)] = Field(
        default=(0,), min_length=1, description="one training per model, initialization and seed"
    )
    training: Training = Field(default=Training(), description="settings for all models")
    gallery_images: Count = Field(
        default=4, le=64, description="validation images shown side by side in the report"
    )

    @field_validator("seeds", "initializations")
    @classmethod
    def _no_duplicates(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is listed twice; every entry is one run")
        return values

    def training_of(self, model: str) -> Training:
        """The training settings of one model, its own taking precedence."""
        return self.training.overridden_by(self.models[model].training)

    def initializations_of(self, model: str) -> tuple[Initialization, ...]:
        """The initializations in which one model is trained."""
        own = self.models[model].initializations
        return self.initializations if own is None else own


def load_experiment(data: Mapping[str, Any], origin: str = "config") -> Experiment:
    """Validate a merged experiment config, and everything that can be checked at once.

    Args:
        data: the merged YAML data, for instance Snakemake's `config`.
        origin: what messages call the config.

    Raises:
        ConfigError: one line for every problem found, naming the key and the remedy.
    """
    experiment = parse_section(Experiment, data, origin)
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
    if problems:
        raise ConfigError("\n".join(problems))
    return experiment


def load_dataset(experiment: Experiment, workflow: Path = Path()) -> DatasetDescription:
    """Load the description of the experiment's dataset, with its source put in place.

    Args:
        experiment: the validated config.
        workflow: folder in which a description is looked for if the working directory lacks it.

    Raises:
        ConfigError: the description or `dataset_sources` is wrong.
    """
    path = Path(experiment.dataset)
    description = load_description(path if path.exists() else workflow / path)
    for name in experiment.dataset_sources:
        if name != description.name:
            raise ConfigError(
                f"config: `dataset_sources.{name}`: this experiment has no such dataset. "
                f"Valid: {description.name}."
            )
    override = experiment.dataset_sources.get(description.name)
    return description if override is None else description.at(override)


def _model_problems(experiment: Experiment, name: str) -> list[str]:
    model, training = experiment.models[name], experiment.training_of(name)
    problems = []
    try:
        zoo.config_path(model.config)
    except ConfigError as error:
        problems.append(f"`models.{name}.config`: {error}")
    if training.crop_size and (problem := zoo.crop_problem(model.config, training.crop_size)):
        problems.append(f"`models.{name}`: {problem}")
    initializations = experiment.initializations_of(name)
    if not initializations:
        problems.append(f"`models.{name}.initializations`: at least one entry is needed.")
    if len(set(initializations)) < len(initializations):
        problems.append(f"`models.{name}.initializations`: an entry is listed twice.")
    if "imagenet" in initializations and model.backbone_weights is None:
        problems.append(
            f"`models.{name}.backbone_weights`: the initialization 'imagenet' needs the path of "
            "a local checkpoint with the backbone's ImageNet weights."
        )
    return problems
