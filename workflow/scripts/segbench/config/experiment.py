"""The experiment config: what config/config.yaml may say, checked before anything runs.

The models here are the contract with the user: the JSON schema and the tables of
config/README.md are generated from them (`segbench.documentation`). What needs the zoo or the data
to be judged is checked in `segbench.plan.load`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, field_validator

from segbench.config.evaluation import Evaluation
from segbench.config.paths import UserPath, from_home
from segbench.config.schema import (
    Count,
    Flag,
    Name,
    Section,
    Seed,
    tuple_from_list,
)
from segbench.config.screening import Screening
from segbench.config.training import Training

Initialization = Literal["scratch", "imagenet", "finetuned", "zero_shot"]
RESERVED = ("datasets", "work", "logs", "benchmarks", "report.html", "zoo.csv")
# initializations that start from a source checkpoint
TRANSFERRED = ("finetuned", "zero_shot")
ZOO = "zoo"

Initializations = Annotated[tuple[Initialization, ...], BeforeValidator(tuple_from_list)]


def _digits(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[0-9a-fA-F]{8,64}", value):
        raise ValueError(f"'{value}' is not a SHA-256: 8 to 64 digits from 0-9 and a-f are needed")
    return value.lower() if isinstance(value, str) else value


def _names_or_path(value: object) -> object:
    pairs: Iterable[Sequence[object]] = (
        value.items() if isinstance(value, Mapping) else [] if isinstance(value, str) else [()]
    )
    if value == "" or not all(
        len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], str | None)
        for pair in pairs
    ):
        raise ValueError(
            "must be the path of a YAML file, or a mapping of source classes to target classes"
        )
    return from_home(value) if isinstance(value, str) else value


Sha256 = Annotated[str, BeforeValidator(_digits, json_schema_input_type=str)]
# a file with the names of classes and their counterparts, or the names themselves
ClassMapOrPath = Annotated[
    str | dict[str, str | None],
    BeforeValidator(_names_or_path, json_schema_input_type=str | dict[str, str | None]),
]


def _file_from_text(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


class Weights(Section):
    """A file with weights: its path or URL in one line, or a mapping with its hash."""

    file: str = Field(description="local path, URL, or a name such as `open-mmlab://resnet50_v1c`")
    sha256: Sha256 | None = Field(
        default=None,
        description="SHA-256 of the file, at least its first 8 digits; default: those in its name",
    )


WeightsOrPath = Annotated[
    Weights, BeforeValidator(_file_from_text, json_schema_input_type=str | Weights)
]


class WeightsStore(Section):
    """How weights are got."""

    mirror: str | None = Field(
        default=None,
        min_length=1,
        description="folder with weights files that takes the place of the network, for machines "
        "without one",
    )


class TransferSource(Section):
    """Where `finetuned` and `zero_shot` start: `zoo`, or a dataset to train on here first."""

    dataset: UserPath = Field(
        description="`zoo` for the published checkpoint of each model, or the path of a dataset "
        "description: each model is then trained on it here, once per seed"
    )
    initialization: Literal["scratch", "imagenet"] = Field(
        default="scratch", description="what the training on the source dataset starts from"
    )
    training: Training = Field(
        default=Training(), description="overrides of `training` for the source dataset"
    )

    @property
    def is_zoo(self) -> bool:
        """Whether checkpoints are published ones, rather than trained here."""
        return self.dataset == ZOO


def _source_from_text(value: object) -> object:
    return {"dataset": value} if isinstance(value, str) else value


SourceOrName = Annotated[
    TransferSource,
    BeforeValidator(_source_from_text, json_schema_input_type=str | TransferSource),
]


def _model_from_name(value: object) -> object:
    return {"config": value} if isinstance(value, str) else value


class Model(Section):
    """One model to compare: a name from MMSegmentation's zoo, or a mapping with more."""

    config: UserPath = Field(
        description="config name from the zoo, or the path of your own MMSegmentation config, a "
        ".py file: it is Python and is run, so use only configs that you trust; it may be left "
        "out where `checkpoint` is a run of your own"
    )
    training: Training = Field(
        default=Training(), description="overrides of `training` for this model alone"
    )
    initializations: Initializations | None = Field(
        default=None, description="overrides of `initializations` for this model alone"
    )
    overrides: dict[str, object] = Field(
        default={},
        description="merged into the zoo config before it is adapted, by MMEngine's rules "
        "(nested keys, `_delete_: true`): `model`, `optim_wrapper`, `param_scheduler` and "
        "`train_pipeline`; a `type` is a name in MMSegmentation's registries",
    )
    backbone_weights: WeightsOrPath | None = Field(
        default=None,
        description="the backbone's ImageNet weights, for `imagenet`; default: those that the zoo "
        "config names",
    )
    checkpoint: WeightsOrPath | None = Field(
        default=None,
        description="checkpoint of the whole model, for `source: zoo`, or the folder of a run of "
        "your own, `results/x/runs/...`; default: the published one",
    )
    class_map: ClassMapOrPath | None = Field(
        default=None, description="overrides of `class_map` for this model alone"
    )


ModelOrName = Annotated[
    Model, BeforeValidator(_model_from_name, json_schema_input_type=str | Model)
]


def _folders(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple_from_list(value)


class External(Section):
    """Predictions of another tool: a folder in one line, or a mapping with more."""

    predictions: Annotated[tuple[UserPath, ...], BeforeValidator(_folders)] = Field(
        min_length=1,
        description="folder with a file for each image that is scored, or a list of them, one for "
        "each of several trainings",
    )
    files: str = Field(
        default="",
        description="how files are called below it, with `{frame}`, such as `{frame}_pred.png`; "
        "default: like the images",
    )
    no_class: Annotated[int, Field(ge=0, le=255)] | None = Field(
        default=None,
        description="value of pixels for which no class was predicted; they count as wrong",
    )

    @field_validator("files")
    @classmethod
    def _one_frame(cls, files: str) -> str:
        if files and files.count("{frame}") != 1:
            raise ValueError("must contain `{frame}` once, as in '{frame}_pred.png'")
        return files


def _external_from_text(value: object) -> object:
    return {"predictions": value} if isinstance(value, str | list) else value


ExternalOrFolder = Annotated[
    External,
    BeforeValidator(_external_from_text, json_schema_input_type=str | list[str] | External),
]


# of a list in which nothing may stand twice
Entry = TypeVar("Entry", int, str)


class Predict(Section):
    """What `snakemake predict` does: images to predict with a model of this experiment."""

    images: UserPath = Field(
        description="folder, image, pattern such as `photos/*.jpg`, or `.txt` file with a path in "
        "each line"
    )
    run: UserPath | None = Field(
        default=None,
        description="run to predict with, such as `cgnet/scratch/seed0`; default: the best run of "
        "the best model",
    )
    batch_size: Annotated[Count, Field(le=1024)] = Field(
        default=1, description="images at a time, of those beside each other that are of one size"
    )


def _images_from_text(value: object) -> object:
    return {"images": value} if isinstance(value, str) else value


PredictOrImages = Annotated[
    Predict, BeforeValidator(_images_from_text, json_schema_input_type=str | Predict)
]


class Experiment(Section):
    """The whole config file."""

    experiment: Name = Field(description="names the folder under `results/`")
    dataset: UserPath = Field(description="path of the dataset description, in `config/datasets/`")
    dataset_sources: dict[Name, UserPath] = Field(
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
    source: SourceOrName | None = Field(
        default=None,
        description="where `finetuned` and `zero_shot` start: `zoo`, or a mapping with `dataset`",
    )
    class_map: ClassMapOrPath | None = Field(
        default=None,
        description="YAML file, or mapping, of source classes to target classes; default: classes "
        "of the same name belong together",
    )
    weights: WeightsStore = Field(default=WeightsStore(), description="how weights are got")
    seeds: Annotated[tuple[Seed, ...], BeforeValidator(tuple_from_list)] = Field(
        default=(0,), min_length=1, description="one training per model, initialization and seed"
    )
    training: Training = Field(default=Training(), description="settings for all models")
    predict: PredictOrImages | None = Field(
        default=None, description="images that `snakemake predict` predicts with a model of these"
    )
    external: dict[Name, ExternalOrFolder] = Field(
        default={},
        description="predictions of other tools that stand beside the models: a name of yours for "
        "each",
    )
    slices: UserPath | None = Field(
        default=None,
        description="CSV file with a row per image, `image` first, and a column for each way to "
        "divide them, such as `weather`: models are also scored on each of its values",
    )
    evaluation: Evaluation = Field(default=Evaluation(), description="how models are scored")
    screening: Screening | None = Field(
        default=None,
        description="train all candidates briefly first, and only the best of them to their end; "
        "run the same command twice",
    )
    allow_missing: Flag = Field(
        default=False,
        description="compare the runs that are finished, and say which are not; none is trained",
    )
    gallery_images: Count = Field(
        default=4, le=64, description="validation images shown side by side in the report"
    )

    @field_validator("seeds", "initializations")
    @classmethod
    def _no_duplicates(cls, values: tuple[Entry, ...]) -> tuple[Entry, ...]:
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is listed twice; every entry is one run")
        return values

    def training_of(self, model: str) -> Training:
        """The training settings of one model, its own taking precedence."""
        return self.training.overridden_by(self.models[model].training)

    def with_candidates(self, candidates: Iterable[str]) -> "Experiment":
        """The same with these candidates alone, each `model/initialization`."""
        kept = set(candidates)
        models = {
            name: model.model_copy(
                update={
                    "initializations": tuple(
                        one for one in self.initializations_of(name) if f"{name}/{one}" in kept
                    )
                }
            )
            for name, model in self.models.items()
        }
        left = {name: model for name, model in models.items() if model.initializations}
        return self.model_copy(update={"models": left})

    @property
    def transfers(self) -> bool:
        """Whether any run starts from a source checkpoint."""
        return any(
            one in TRANSFERRED for name in self.models for one in self.initializations_of(name)
        )

    @property
    def built_from(self) -> dict[str, dict[str, object]]:
        """What decides how each model is built."""
        kept = {"config", "overrides"}
        return {name: model.model_dump(include=kept) for name, model in self.models.items()}

    @property
    def own_configs(self) -> list[str]:
        """Configs of the user's own, which are Python and are run."""
        return [model.config for model in self.models.values() if "/" in model.config]

    def initializations_of(self, model: str) -> tuple[Initialization, ...]:
        """The initializations in which one model is trained."""
        own = self.models[model].initializations
        return self.initializations if own is None else own
