"""The section `segbench` of a rendered config: what a job must know of its run beyond the model.

Written when a config is rendered and read wherever one is used.
"""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from segbench.errors import ModelError
from segbench.system.records import first_problem

FORM = 1


class SourceCheckpoint(BaseModel):
    """The checkpoint of a whole model that a run starts from.

    Attributes:
        checkpoint: path of the file.
        classes: names of the classes it knows, by id.
        class_map: for each of them the class of the dataset that it stands for, -1 where none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    checkpoint: str
    classes: tuple[str, ...]
    class_map: tuple[int, ...]


class RunSection(BaseModel):
    """What a run is.

    Attributes:
        run: `model/initialization/seed0`.
        initialization: `scratch`, `imagenet`, `finetuned` or `zero_shot`.
        dataset: name of the dataset it is trained on.
        crop_size: height and width in pixels.
        batch_size: images per iteration.
        adaptations: what was changed of the zoo config, in sentences.
        early_stopping: validations without a better score after which it ends.
        ema: decay of the moving average of the weights.
        precision: `float32`, `bfloat16`, `float16`, or `auto`, which is decided where it
            is trained.
        deterministic: whether kernels that give the same bits each time are used on a GPU.
        compile: whether the network is compiled in training.
        growing_crop: share of the sides of the crop at which crops begin, None if all are whole.
        source: the checkpoint of a whole model that it starts from.
        form: of this section.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    run: str
    initialization: str
    dataset: str
    crop_size: tuple[int, int]
    batch_size: int
    adaptations: tuple[str, ...] = ()
    early_stopping: int | None = None
    ema: float | None = None
    precision: str = "float32"
    deterministic: bool = False
    compile: bool = False
    growing_crop: float | None = None
    source: SourceCheckpoint | None = None
    form: int = FORM

    @property
    def is_zero_shot(self) -> bool:
        """Whether nothing is trained and another dataset's classes are predicted and mapped."""
        return self.initialization == "zero_shot"

    @classmethod
    def of(cls, config: Mapping[str, object]) -> Self:
        """Read the section of a config.

        Raises:
            ModelError: it has none, or one of another form.
        """
        section = config.get("segbench")
        if not isinstance(section, Mapping) or section.get("form") != FORM:
            raise ModelError(
                "the config was not rendered by this version of segbench. Remove it and run the "
                "workflow again: a training whose settings are the same is not repeated."
            )
        try:
            return cls.model_validate(_plain(section))
        except ValidationError as error:
            key, problem = first_problem(error)
            raise ModelError(
                f"`segbench.{key}` of the config was changed by hand: {problem}. Remove the "
                "config and run again."
            ) from None

    def as_config(self) -> dict[str, object]:
        """The section as plain values, for a config file."""
        return self.model_dump(mode="json")


def _plain(section: Mapping[str, object]) -> dict[str, object]:
    """MMEngine's mappings as plain ones; pydantic would take their absent attributes for values."""
    return {k: _plain(v) if isinstance(v, Mapping) else v for k, v in section.items()}
