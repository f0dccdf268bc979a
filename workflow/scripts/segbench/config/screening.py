"""How many candidates are trained briefly, and how many to their end."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from segbench.config.schema import Count, Section, number_from_text

Share = Annotated[float, BeforeValidator(number_from_text), Field(gt=0, le=0.5)]


class Screening(Section):
    """Successive halving: all candidates are trained briefly, the better half goes on."""

    keep: Count = Field(
        default=2,
        description="how many candidates, each a model with an initialization, are trained to "
        "their end, with all seeds",
    )
    first: Share = Field(
        default=0.0625,
        description="share of its iterations for which every candidate is trained, with the first "
        "seed; each further round doubles it",
    )
