"""All that a comparison is made of, read once: the runs, the dataset and the words around them.

Needs no network, no GPU and no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from segbench.datasets.check import findings_in, read_frames
from segbench.datasets.findings import Finding
from segbench.datasets.manifest import Manifest
from segbench.datasets.meaning import Shown
from segbench.report import results, slices
from segbench.report.conditions import ConditionScore, scores_under
from segbench.report.levels import Level, LevelScore, scores_at
from segbench.report.parts import parts_of
from segbench.report.results import Candidate, Run

# model, initialization, seed and fold of a run
RunRow = tuple[str, str, int, int | None]


@dataclass(frozen=True)
class Comparison:
    """Runs on one dataset, and how they are spoken of.

    Attributes:
        candidates: best first.
        prepared: the manifest of the dataset, as it was prepared.
        frames: its `frames.csv`.
        classes: names and colours of the classes, as they are shown.
        own_parts: the user's table of parts of the images: a column for each, by name of the
            frame.
        levels: coarser levels of classes at which the runs are scored as well.
        experiment: its name.
        unfinished: names of the runs that are left out.
        configs: config of each model.
        screening: what is said of the candidates that were dropped before.
        citation: what the description of the dataset asks to cite.
    """

    candidates: Sequence[Candidate]
    prepared: Manifest
    frames: pd.DataFrame
    classes: Sequence[Shown]
    own_parts: pd.DataFrame | None = None
    levels: Sequence[Level] = ()
    experiment: str = ""
    unfinished: Sequence[str] = ()
    configs: Mapping[str, str] = field(default_factory=dict)
    citation: str = ""
    screening: Sequence[str] = ()

    @classmethod
    def read(
        cls,
        rows: Sequence[RunRow],
        folders: Sequence[Path],
        dataset: Path,
        classes: Sequence[Shown],
        own_parts: Path | None = None,
        under_conditions: bool = False,
        **words: object,
    ) -> "Comparison":
        """Read runs, rank them, and read the dataset that they were scored on.

        Args:
            rows: of the run table.
            folders: where the files of each run are.
            dataset: the folder of the prepared dataset.
            classes: names and colours of the classes, as they are shown.
            own_parts: the user's table of parts, placed by `segbench.datasets.slice_table`.
            under_conditions: whether runs that were trained here were scored on worse images, too.
            words: the other attributes.

        Raises:
            DataError: a record is missing, damaged or of another version.
        """
        frames = read_frames(dataset / "frames.csv")
        drives = dict(zip(frames["name"], frames["group"], strict=True))
        runs = [
            Run.read(*row, folder, drives, under_conditions)
            for row, folder in zip(rows, folders, strict=True)
        ]
        return cls(
            candidates=results.rank(runs),
            prepared=Manifest.read(dataset / "manifest.json"),
            frames=frames,
            classes=classes,
            own_parts=None if own_parts is None else _read_parts(own_parts),
            **words,  # type: ignore[arg-type]
        )

    @cached_property
    def manifest(self) -> Manifest:
        """That of the dataset, with classes as they are shown."""
        return self.prepared.shown_with(self.classes)

    @cached_property
    def warnings(self) -> list[Finding]:
        """What the checks of the dataset found."""
        return findings_in(self.manifest, self.frames)

    @cached_property
    def by_part(self) -> list[slices.PartScore]:
        """The scores of every candidate on parts of the images."""
        names = self.candidates[0].runs[0].names
        parts = parts_of(self.frames, names, self.own_parts)
        return slices.scores_of_parts(self.candidates, parts)

    @cached_property
    def at_levels(self) -> list[LevelScore]:
        """The scores of every candidate at every coarser level."""
        return scores_at(self.candidates, self.levels)

    @cached_property
    def under_conditions(self) -> list[ConditionScore]:
        """The scores of every candidate on images that were made worse."""
        return scores_under(self.candidates)


def _read_parts(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, dtype=str, index_col="name")
