"""The `splits` section of a dataset description: which frames make which split.

Knows its schema alone; reads no file.
"""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from segbench.config.schema import Section, Seed, integer_from_text, number_from_text

LIST_SUFFIX = ".txt"


class RandomSplit(Section):
    """A split drawn by segbench: whole groups, with rare classes in both splits if possible."""

    val: Annotated[float, BeforeValidator(number_from_text), Field(gt=0, lt=1)] = Field(
        default=0.2, description="wanted share of the images in the validation split"
    )
    seed: Seed = Field(default=0, description="another seed draws another split")


class Folds(Section):
    """Cross-validation: every group is in the validation split of one fold."""

    count: Annotated[int, BeforeValidator(integer_from_text), Field(ge=2, le=20)] = Field(
        description="number of folds; every model is trained once for each"
    )
    seed: Seed = Field(default=0, description="another seed draws other folds")


def _folds_from_number(value: object) -> object:
    return value if isinstance(value, Mapping) else {"count": value}


FoldsOrNumber = Annotated[
    Folds, BeforeValidator(_folds_from_number, json_schema_input_type=int | Folds)
]


class Splits(Section):
    """Which frames make which split: a value of the wildcard `{split}`, or a list file."""

    train: str = Field(
        default="train",
        description="the training split: a value of `{split}`, or the path of a `.txt` file below "
        "`root` with a frame's name at the start of each line",
    )
    val: str = Field(
        default="val", description="the split that models are compared on, in the same way"
    )

    random: RandomSplit | None = Field(
        default=None,
        description="instead: all matching images are split at random, by `{group}` where the "
        "pattern has it (all images of a drive in one split), else image by image",
    )

    folds: FoldsOrNumber | None = Field(
        default=None,
        description="instead: cross-validation. All matching images are dealt to this many folds, "
        "by `{group}` where the pattern has it, and every model is trained once for each fold",
    )

    @property
    def are_drawn(self) -> bool:
        """Whether segbench draws the splits, so that patterns need no `{split}`."""
        return self.random is not None or self.folds is not None

    @property
    def are_lists(self) -> bool:
        """Whether both splits are list files, so that patterns need no `{split}`."""
        return self.train.endswith(LIST_SUFFIX) and self.val.endswith(LIST_SUFFIX)

    @model_validator(mode="after")
    def _two_splits(self) -> Self:
        if self.train == self.val:
            raise ValueError(f"train and val are both '{self.train}'; they must differ")
        if self.random and self.folds:
            raise ValueError("`random` and `folds` both draw the splits; give one of them")
        return self
