"""What a comparison was made of, beside its tables, so that it can be made again and compared."""

from pydantic import BaseModel, ConfigDict, Field

from segbench.datasets.meaning import Shown
from segbench.system.records import Record

NAME = "comparison.json"


class ComparedRun(BaseModel):
    """One run: its model, initialization, seed and fold, and its folder below `runs/`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    model: str
    initialization: str
    seed: int
    fold: int | None
    folder: str

    @property
    def key(self) -> tuple[str, str, int, int | None]:
        """The row of the run table."""
        return self.model, self.initialization, self.seed, self.fold


class ComparisonRecord(Record):
    """`tables/comparison.json`.

    Attributes:
        experiment: its name.
        dataset: name of the prepared dataset.
        content_sha256: of what a model can see of it.
        runs: those that were compared.
        classes: names and colours as they are shown.
        own_parts: whether the user's table of parts, `check/slices.csv`, took part.
        under_conditions: whether the runs were scored on worse images, too.
        levels: coarser levels of classes.
        unfinished: names of the runs that were left out.
        configs: config of each model.
        screened: whether candidates were dropped before, in brief trainings.
        citation: what the description of the dataset asks to cite.
    """

    experiment: str
    dataset: str
    content_sha256: str
    runs: tuple[ComparedRun, ...]
    classes: tuple[Shown, ...]
    own_parts: bool = False
    under_conditions: bool = False
    levels: tuple[tuple[str, tuple[tuple[str, tuple[int, ...]], ...]], ...] = ()
    unfinished: tuple[str, ...] = ()
    configs: dict[str, str] = Field(default_factory=dict)
    screened: bool = False
    citation: str = ""
