"""The `splits` section of a dataset description: which frames make which split.

Knows its schema alone; reads no file.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from segbench.config.schema import Section, Seed, integer_from_text, number_from_text

LIST_SUFFIX = ".txt"


class RandomSplit(Section):
    """A split drawn by segbench: whole groups, with rare classes in both splits if possible."""

    val: Annotated[float, BeforeValidator(number_from_text), Field(gt=0, lt=1)] = Field(
        default=0.2, description="wanted share of the images in the validation split"
    )
    test: Annotated[float, BeforeValidator(number_from_text), Field(ge=0, lt=1)] = Field(
        default=0, description="wanted share of the images in a test split; 0: no such split"
    )
    seed: Seed = Field(default=0, description="another seed draws another split")

    @model_validator(mode="after")
    def _some_are_left(self) -> Self:
        if self.val + self.test >= 1:
            raise ValueError(
                f"val ({self.val:g}) and test ({self.test:g}) leave no images to train on"
            )
        return self


class Folds(Section):
    """Cross-validation: every group is in the validation split of one fold."""

    count: Annotated[int, BeforeValidator(integer_from_text), Field(ge=2, le=20)] = Field(
        description="number of folds; every model is trained once for each"
    )
    test: Annotated[float, BeforeValidator(number_from_text), Field(ge=0, lt=1)] = Field(
        default=0,
        description="wanted share of the images in a test split, which is drawn first and that all "
        "folds are compared on; 0: no such split",
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
        default="val",
        description="the split that chooses the best checkpoint of a training, in the same way; "
        "models are compared on it, too, where there is no test split",
    )
    test: str | None = Field(
        default=None,
        description="the split that models are compared on, in the same way; no training sees "
        "it; default: none",
    )

    random: RandomSplit | None = Field(
        default=None,
        description="instead: all matching images are split at random, by `{group}` where the "
        "pattern has it (all images of a drive in one split), else image by image",
    )

    folds: FoldsOrNumber | None = Field(
        default=None,
        description="instead: cross-validation. All matching images, without those of `test`, are "
        "dealt to this many folds, "
        "by `{group}` where the pattern has it, and every model is trained once for each fold",
    )

    @property
    def are_drawn(self) -> bool:
        """Whether segbench draws the splits, so that patterns need no `{split}`."""
        return self.random is not None or self.folds is not None

    @property
    def are_lists(self) -> bool:
        """Whether all splits are list files, so that patterns need no `{split}`."""
        return all(value.endswith(LIST_SUFFIX) for value in self.values.values())

    @property
    def values(self) -> dict[str, str]:
        """What the splits are in the source, by their names here."""
        given = {"train": self.train, "val": self.val, "test": self.test}
        return {split: value for split, value in given.items() if value is not None}

    @property
    def names(self) -> tuple[str, ...]:
        """The splits that there will be."""
        return ("train", "val", "test") if self.has_test else ("train", "val")

    @property
    def has_test(self) -> bool:
        """Whether models are compared on images that choose nothing."""
        drawn = self.random or self.folds
        return self.test is not None or (drawn is not None and drawn.test > 0)

    @model_validator(mode="after")
    def _splits_differ(self) -> Self:
        for (split, value), (other, same) in combinations(self.values.items(), 2):
            if value == same:
                raise ValueError(f"{split} and {other} are both '{value}'; they must differ")
        if self.test is not None and self.random:
            raise ValueError(
                "`test` names a split, but `random` draws them from all images: set "
                "`random: {test: 0.2}` instead"
            )
        if self.test is not None and self.folds and self.folds.test:
            raise ValueError("`test` and `folds.test` both say what the test split is; give one")
        if self.random and self.folds:
            raise ValueError("`random` and `folds` both draw the splits; give one of them")
        return self
