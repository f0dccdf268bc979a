"""The `training` section of a config: how models are trained.

A key left out keeps what the model's zoo config says. Knows nothing about Snakemake, torch or
mmseg.
"""

import math
from typing import Annotated, Literal, Self, get_args

from pydantic import BeforeValidator, Field, PlainValidator, model_validator

from segbench.config.schema import (
    Count,
    Flag,
    Rate,
    Section,
    Size,
    number_from_text,
    parse_section,
)

Precision = Literal["auto", "float32", "bfloat16", "float16"]
# two keys that say the same; setting one for a model takes the place of the other
LENGTHS = ("max_iters", "epochs")
# keys that say how the work is done; what comes out of it does not depend on them
HOW_ONLY = frozenset({"gpus_per_run", "save_minutes", "decoded_gb"})
# said by a dry run, and by a training that was started otherwise
UNEVEN = (
    "a batch of {batch} images cannot be shared evenly by {devices} devices. Change "
    "`training.batch_size` or `training.gpus_per_run`."
)


def _weights_or_scheme(value: object) -> object:
    """Accept the name of a formula, or positive numbers."""
    if isinstance(value, list | tuple):
        numbers = tuple(map(number_from_text, value))
        if all(isinstance(number, float) and 0 < number < math.inf for number in numbers):
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


# far beyond any training, and still a number that every step computes with
Iterations = Annotated[Count, Field(le=10**9)]
Epochs = Annotated[Count, Field(le=10**6)]
Batch = Annotated[Count, Field(le=10**6)]
# less than a second would do little but save; more than a day would save nothing
Minutes = Annotated[float, BeforeValidator(number_from_text), Field(ge=0.01, le=1440)]
Gigabytes = Annotated[float, BeforeValidator(number_from_text), Field(ge=0, le=10**6)]
ShareOfCrop = Annotated[float, BeforeValidator(number_from_text), Field(ge=0.25, le=1)]
Decay = Annotated[float, BeforeValidator(number_from_text), Field(gt=0, lt=1)]


class Training(Section):
    """How models are trained; a key left out keeps what the model's zoo config says."""

    crop_size: Size | None = Field(
        default=None, description="height and width of the training crop, in pixels"
    )
    batch_size: Batch | None = Field(
        default=None,
        description="images per iteration; the learning rate is scaled with it (linear rule)",
    )
    max_iters: Iterations | None = Field(
        default=None, description="iterations; the schedule, warm-up included, scales with it"
    )
    epochs: Epochs | None = Field(
        default=None, description="instead of `max_iters`: passes over the training images"
    )
    val_interval: Iterations | Literal["auto"] | None = Field(
        default=None,
        description="iterations between two validations; default: `auto`, three to ten of them, as "
        "many as take about a tenth of the training's time",
    )
    early_stopping: Iterations | None = Field(
        default=None,
        description="end a training after this many validations without a better mean IoU; "
        "default: never",
    )
    ema: Decay | None = Field(
        default=None,
        description="decay of an exponential moving average of the weights, such as 0.999, with a "
        "warm-up; the average is then what is validated and kept; default: none",
    )
    learning_rate: Rate | None = Field(
        default=None,
        description="peak learning rate, taken as it is; default: the zoo's, by the linear rule",
    )
    precision: Precision | None = Field(
        default=None,
        description="`float32`; mixed precision in `bfloat16`, or in `float16` with a scaled loss "
        "for GPUs older than NVIDIA's Ampere; or `auto`: the mixed precision that the device "
        "computes in, where a trial of a few steps is clearly faster, else float32; the choice is "
        "noted with the run; from random weights, it begins after 20 iterations in float32; scores "
        "are always computed in float32; default: `auto`",
    )
    compile: Flag | None = Field(
        default=None,
        description="train the network as code that PyTorch compiles for its crop (TorchInductor): "
        "the first step takes minutes, the others less time on many GPUs; needs a C++ compiler, "
        "and one GPU per run; default: false",
    )
    growing_crop: ShareOfCrop | None = Field(
        default=None,
        description="share of the sides of the crop, such as 0.5, at which crops begin, from 0.25 "
        "to 1, which is the whole crop; they grow in steps of 32 pixels over the first three "
        "quarters of the training, so that as many iterations take less time, early ones least, "
        "and see fewer pixels; not with `compile`, BEiT or MAE; default: 1",
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
    gpus_per_run: Annotated[Count, Field(le=64)] | None = Field(
        default=None,
        description="GPUs that a run is trained on together: they share each batch evenly and "
        "normalise over all of it, so that the training is the same; default: 1",
    )
    save_minutes: Minutes | None = Field(
        default=None,
        description="minutes between two saves of the state that an interrupted training goes on "
        "from, from 0.01 to 1440; it is also saved at each validation; what comes out does not "
        "depend on it; default: 5",
    )
    decoded_gb: Gigabytes | None = Field(
        default=None,
        description="most gigabytes (10^9 bytes) that the decoded training images of a dataset may "
        "take in `results/work/decoded`, and never more than half of the disk that is free; 0 "
        "keeps none; beyond it each image file is decoded whenever it is seen, and what comes out "
        "is the same; default: 16",
    )
    deterministic: Flag | None = Field(
        default=None,
        description="on a GPU, use kernels that give the same bits each time, where there are any; "
        "slower; what a model does without is named by its check; on a CPU trainings always are; "
        "default: false",
    )
    image_size: Size | None = Field(
        default=None,
        description="size to which images are resized (ratio kept) before augmentation and at "
        "test time; default: the images' own size. Scores are always at the labels' own size",
    )

    @model_validator(mode="after")
    def _validation_happens(self) -> Self:
        if self.max_iters and self.epochs:
            raise ValueError("`max_iters` and `epochs` say the same; give one of them")
        every = self.validations_every
        if every and self.max_iters and every > self.max_iters:
            raise ValueError(
                f"val_interval ({every}) is larger than max_iters "
                f"({self.max_iters}), so the model would never be validated"
            )
        if self.compile and (self.gpus_per_run or 1) > 1:
            raise ValueError(
                "`compile: true` and `gpus_per_run` above 1 do not go together: a network that "
                "normalises over several processes is not compiled"
            )
        if self.compile and self.grows_from:
            raise ValueError(
                "`compile: true` and `growing_crop` do not go together: a network is compiled for "
                "one crop"
            )
        return self

    @property
    def grows_from(self) -> float | None:
        """Share of the sides of the crop at which crops begin, None if all are whole."""
        return None if self.growing_crop == 1 else self.growing_crop

    @property
    def validations_every(self) -> int | None:
        """Iterations between two validations, None where that is left to segbench."""
        return None if self.val_interval == "auto" else self.val_interval

    @property
    def how(self) -> dict[str, float]:
        """The keys of how a training is carried out, without its devices, that are given."""
        return self.model_dump(exclude_none=True, include=set(HOW_ONLY - {"gpus_per_run"}))

    def overridden_by(self, other: "Training", origin: str = "training") -> "Training":
        """This section with the keys that `other` sets taking precedence.

        Raises:
            ConfigError: they do not go together; `origin` is where it says so.
        """
        own, given = (one.model_dump(exclude_none=True) for one in (self, other))
        if given.keys() & set(LENGTHS):
            own = {key: value for key, value in own.items() if key not in LENGTHS}
        merged = own | given
        return parse_section(Training, merged, origin)
