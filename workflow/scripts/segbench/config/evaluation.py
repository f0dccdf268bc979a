"""How models are scored: at which size, and under which conditions."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from segbench.config.schema import Section, integer_from_text, number_from_text, tuple_from_list

# height and width at which published protocols compare; None is the label's own size
SCORED_SIZES: dict[str, tuple[int, int] | None] = {
    "native": None,
    "idd": (720, 1280),
    "idd_lite": (128, 256),
}
Protocol = Literal["native", "idd", "idd_lite"]
KINDS = ("resolution", "jpeg", "blur")
Part = Annotated[int, BeforeValidator(integer_from_text), Field(ge=2, le=64)]
Quality = Annotated[int, BeforeValidator(integer_from_text), Field(ge=1, le=100)]
Deviation = Annotated[float, BeforeValidator(number_from_text), Field(ge=0.1, le=100)]


class Conditions(Section):
    """Worse images of the same scenes, on which every model is scored as well."""

    resolution: Annotated[tuple[Part, ...], BeforeValidator(tuple_from_list)] = Field(
        default=(),
        description="images reduced to a part of their size and enlarged again, such as "
        "`[2, 4, 8]` for a half, a quarter and an eighth",
    )
    jpeg: Annotated[tuple[Quality, ...], BeforeValidator(tuple_from_list)] = Field(
        default=(), description="images saved as JPEG, by quality, such as `[50, 20, 10]`"
    )
    blur: Annotated[tuple[Deviation, ...], BeforeValidator(tuple_from_list)] = Field(
        default=(),
        description="images blurred by a Gaussian, by its standard deviation in pixels, such as "
        "`[1, 2, 4]`",
    )

    @field_validator(*KINDS)
    @classmethod
    def _no_duplicates(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(levels)) < len(levels):
            raise ValueError("names a level twice")
        return levels

    def by_severity(self) -> list[tuple[str, float]]:
        """Kind and level of each condition, kind by kind, the mildest level of each first."""
        return [
            (kind, float(level))
            for kind in KINDS
            for level in sorted(getattr(self, kind), reverse=kind == "jpeg")
        ]


class Evaluation(Section):
    """How models are scored."""

    protocol: Protocol = Field(
        default="native",
        description="size at which labels and predictions are compared: `native`, the label's own; "
        "`idd`, 1280x720, and `idd_lite`, 256x128, as published figures on these datasets are "
        "(both maps by nearest neighbour)",
    )
    conditions: Conditions = Field(
        default=Conditions(),
        description="also score the same images when they are made worse, and say how much of the "
        "mean IoU is retained",
    )
