"""Read what the runs left behind, and rank models rather than runs.

Reads confusion matrices and JSON; needs NumPy and pandas, never torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from segbench.scores import metrics
from segbench.scores.bootstrap import Draws, Interval, are_drawn, bootstrap_mean_iou
from segbench.system.run_records import EXTERNAL, CostRecord, MetricsRecord, TrainRecord

Condition = tuple[str, float]  # kind and level, as in `segbench.config.evaluation`


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run: what it was, and what it left behind.

    Attributes:
        model, initialization, seed, fold: the row of the run table.
        confusion: int64 [images, classes, classes].
        scores: content of `metrics.json`.
        record: content of `train.json`.
        history: content of `history.csv`.
        folder: where the files are.
        groups: the drive of each image; empty where the dataset has none.
        names: of the images.
        boundary: int64 [images, classes, 3], pixels on edges that are right, that are in the truth,
            and in the prediction; None in results of before.
        worse: what `confusion` is under each condition.
        cost: content of the model's `cost.json`; None where another tool made the predictions.
    """

    model: str
    initialization: str
    seed: int
    fold: int | None
    confusion: metrics.Counts
    scores: MetricsRecord
    record: TrainRecord
    history: pd.DataFrame
    folder: Path
    groups: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    boundary: metrics.Counts | None = None
    worse: Mapping[Condition, metrics.Counts] = field(default_factory=dict)
    cost: CostRecord | None = None

    @classmethod
    def read(
        cls,
        model: str,
        initialization: str,
        seed: int,
        fold: int | None,
        folder: Path,
        drives: Mapping[str, str],
        under_conditions: bool = False,
    ) -> "Run":
        """Read the files of a run.

        Args:
            model: of the row of the run table.
            initialization: of it.
            seed: of it.
            fold: of it.
            folder: where the files are.
            drives: by name of the frame.
            under_conditions: whether it was scored under conditions as well, where it was trained
                here.

        Raises:
            DataError: a record is missing, damaged or of another version.
        """
        with np.load(folder / "confusion.npz") as stored:
            confusion, names = stored["confusion"], stored["names"].tolist()
            boundary = stored.get("boundary")
        groups = tuple(drives.get(name, "") for name in names)
        return cls(
            model=model,
            initialization=initialization,
            seed=seed,
            fold=fold,
            confusion=confusion,
            scores=MetricsRecord.read(folder / "metrics.json"),
            record=TrainRecord.read(folder / "train.json"),
            history=pd.read_csv(folder / "history.csv"),
            folder=folder,
            groups=groups if any(groups) else (),
            names=tuple(names),
            boundary=boundary,
            worse=_read_conditions(folder / "conditions.npz")
            if under_conditions and initialization != EXTERNAL
            else {},
            cost=_cost_of(folder),
        )

    @property
    def is_still_rising(self) -> bool:
        """Whether the best validation was the last, so that more iterations may give more."""
        record = self.record
        return record.is_trained and record.best_iteration >= record.iterations

    @property
    def images_of(self) -> int:
        """Which images were scored: the fold, 0 where all runs are scored on the same ones."""
        return (self.fold or 0) if self.scores_its_fold else 0

    @property
    def scores_its_fold(self) -> bool:
        """Whether it was scored on images that runs of other folds were trained on."""
        return self.fold is not None and self.scores.split != "test"

    def boundary_iou(self) -> metrics.Scores:
        """IoU of the edges of each class, [classes]; NaN where it was not counted."""
        if self.boundary is None:
            return np.full(self.confusion.shape[1], np.nan)
        return metrics.boundary_iou(self.boundary.sum(0))

    @property
    def boundary_miou(self) -> float:
        """Mean of that over the classes that are present."""
        return float(metrics.mean_over_classes(self.boundary_iou()))

    @property
    def miou(self) -> float:
        """Mean IoU of the run over all images that were scored."""
        return float(metrics.mean_iou(self.confusion.sum(0)))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model with an initialization: what the comparison ranks.

    Attributes:
        model, initialization: names of it.
        label: how it is called in figures, without what all candidates share.
        runs: one per seed and fold.
        draws: bootstrap mean IoU, on the same resampled images for every candidate.
    """

    model: str
    initialization: str
    label: str
    runs: list[Run]
    draws: Draws

    @property
    def repeated_over(self) -> str:
        """What its runs differ in: `seeds`, `folds`, or `seeds and folds`."""
        folds = len({run.fold for run in self.runs}) > 1
        seeds = len({run.seed for run in self.runs}) > 1 or not folds
        return " and ".join(["seeds"] * seeds + ["folds"] * folds)

    @property
    def mious(self) -> list[float]:
        """Mean IoU of every run."""
        return [run.miou for run in self.runs]

    @property
    def miou(self) -> float:
        """Mean of the runs' mean IoU."""
        return float(np.mean(self.mious))

    @property
    def interval(self) -> Interval:
        """Interval of the mean IoU, over the choice of images and, with several seeds, those."""
        return Interval.of(self.draws.over_all).of_a_score()

    @property
    def seeds(self) -> int:
        """With how many seeds it was trained."""
        return len({run.seed for run in self.runs})

    @property
    def interval_covers(self) -> str:
        """What the interval is over, in words."""
        drawn = "drives" if self.drives_are_drawn else "images"
        sets = len({run.images_of for run in self.runs})
        if len(self.runs) == sets:
            return drawn
        # folds whose images differ are no repetition of each other
        return f"{drawn} and {self.repeated_over if sets == 1 else 'seeds'}"

    @property
    def images(self) -> int:
        """How many images were scored, over all folds that score their own."""
        return sum({run.images_of: len(run.confusion) for run in self.runs}.values())

    @property
    def drives_are_drawn(self) -> bool:
        """Whether the interval is over drives rather than single images."""
        return are_drawn(self.runs[0].groups)

    @property
    def is_external(self) -> bool:
        """Whether another tool made its predictions."""
        return self.initialization == EXTERNAL

    @property
    def is_still_rising(self) -> bool:
        """Whether half of its runs or more were best at their last validation."""
        return 2 * sum(run.is_still_rising for run in self.runs) >= len(self.runs)

    @property
    def scored_images(self) -> str:
        """What the images that were scored are called."""
        return self.runs[0].scores.scored_images

    @property
    def only_class(self) -> int | None:
        """The class that it predicts for every pixel, None if it predicts several."""
        predicted = np.flatnonzero(sum(run.confusion.sum((0, 1)) for run in self.runs))
        return int(predicted[0]) if len(predicted) == 1 else None

    @property
    def best_run(self) -> Run:
        """The run with the highest mean IoU; of the first fold, which all candidates have."""
        return max((run for run in self.runs if not run.fold), key=lambda run: run.miou)


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one candidate is ahead of another, in fractions of mean IoU."""

    first: Candidate
    second: Candidate

    @property
    def miou(self) -> float:
        """The difference of the mean IoU."""
        return self.first.miou - self.second.miou

    @property
    def interval(self) -> Interval:
        """Paired interval: both are scored on the same draws of images."""
        return Interval.of(self.first.draws.over_all - self.second.draws.over_all)

    @property
    def is_clear_on_images(self) -> bool:
        """Whether the images tell these very trainings apart."""
        gap = Interval.of(self.first.draws.over_images - self.second.draws.over_images)
        return gap.low > 0 or gap.high < 0

    @property
    def is_nothing(self) -> bool:
        """Whether both predict the same, pixel for pixel as far as counts can tell."""
        ours, theirs = self.first.runs, self.second.runs
        return len(ours) == len(theirs) and all(
            np.array_equal(a.confusion, b.confusion) for a, b in zip(ours, theirs, strict=True)
        )

    @property
    def is_mixed(self) -> bool:
        """Whether the folds disagree on which of the two is ahead.

        They differ in difficulty, so the same folds are compared.
        """
        ours, theirs = self.first, self.second
        if "folds" not in ours.repeated_over:
            return False
        other = {(run.seed, run.fold): run.miou for run in theirs.runs}
        return any(run.miou <= other.get((run.seed, run.fold), -1.0) for run in ours.runs)

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.interval.low > 0 or self.interval.high < 0


def _read_conditions(path: Path) -> dict[Condition, metrics.Counts]:
    with np.load(path) as stored:
        kinds, levels = stored["kinds"].tolist(), stored["levels"].tolist()
        return dict(zip(zip(kinds, levels, strict=True), stored["confusion"], strict=True))


def _cost_of(folder: Path) -> CostRecord | None:
    """What the model of a run costs, given the folder of the run."""
    path = folder.parents[1] / "cost.json"
    return CostRecord.read(path) if path.is_file() else None


def _in_order(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: (run.seed, run.fold or 0))


def draws_of(runs: Sequence[Run], counts: Sequence[metrics.Counts]) -> Draws:
    """Bootstrap mean IoU of a candidate, on the same draws whatever was counted of the images.

    Args:
        runs: of the candidate.
        counts: matrices per image of each run.
    """
    return bootstrap_mean_iou(
        [(run.images_of, one) for run, one in zip(runs, counts, strict=True)],
        name=f"{runs[0].model}/{runs[0].initialization}",
        groups={run.images_of: run.groups for run in runs},
    )


def rank(runs: Sequence[Run]) -> list[Candidate]:
    """Group runs into candidates, the best mean IoU first."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.model, run.initialization), []).append(run)
    several = len({start for _, start in groups} - {EXTERNAL}) > 1
    candidates = [
        Candidate(
            model=model,
            initialization=initialization,
            label=f"{model} ({initialization})" if several or initialization == EXTERNAL else model,
            runs=_in_order(group),
            draws=draws_of(_in_order(group), [run.confusion for run in _in_order(group)]),
        )
        for (model, initialization), group in groups.items()
    ]
    return sorted(candidates, key=lambda candidate: -candidate.miou)


def training_devices(candidates: Sequence[Candidate]) -> list[str]:
    """What the models were trained on; where all are zero-shot, what they were loaded on."""
    runs = [run for candidate in candidates for run in candidate.runs]
    trained = [run for run in runs if run.record.is_trained]
    return sorted({run.record.device for run in trained or runs} - {""})


def package_versions(candidates: Sequence[Candidate]) -> dict[str, str]:
    """The packages that the best of the models ran with that were run here."""
    found = (candidate.best_run.record.versions for candidate in candidates)
    return next(filter(None, found), {})


def intervals_cover(candidates: Sequence[Candidate]) -> str:
    """What the intervals of all candidates are over, in words."""
    said = sorted({one.interval_covers for one in candidates}, key=len)
    if len(said) == 1:
        return said[0]
    return f"{said[-1]}, and over {said[0]} alone where there is one run"
