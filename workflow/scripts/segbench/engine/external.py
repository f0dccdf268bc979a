"""Score predictions that another tool made: one file per image, in a folder.

They are counted like those of the models that are trained here, so that both stand in the same
tables. Imports neither torch nor mmseg.
"""

import logging
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from segbench.datasets.check import read_frames
from segbench.datasets.frame_names import FrameNames, examples
from segbench.datasets.manifest import Manifest
from segbench.engine.counting import ImageCounts, Scale
from segbench.engine.evaluation_files import (
    Evaluated,
    EvaluationFiles,
    Picture,
    Weights,
    picture_of,
    score,
)
from segbench.engine.outside_prediction import (
    SUFFIXES,
    Form,
    UnusablePredictionError,
    read_prediction,
)
from segbench.errors import DataError
from segbench.system.pools import process_pool
from segbench.system.progress import Progress
from segbench.system.run_records import EXTERNAL, TrainRecord, write_history

LOG = logging.getLogger(__name__)
HOW = "predicted outside this workflow"
REFUSAL = "nothing is scored on a part of the images."
AT_ONCE = 8  # images that a process is given together


@dataclass(frozen=True, slots=True)
class Outside:
    """Predictions of another tool.

    Attributes:
        name: of the tool or model.
        seed: which of several trainings.
        folder: where the files are.
        files: how they are called, with `{frame}`; empty where they are called like the images.
        no_class: value of pixels for which no class was predicted, if any.
    """

    name: str
    seed: int
    folder: Path
    files: str = ""
    no_class: int | None = None

    def by_frame(self, frames: Sequence[str], scored: Sequence[str]) -> dict[str, Path]:
        """The file of each frame that is scored.

        Args:
            frames: names of all frames of the dataset.
            scored: names of those that are scored.

        Raises:
            DataError: some have no file, or more than one.
        """
        names, found, foreign = FrameNames(frames), defaultdict[str, list[Path]](list), []
        for path, name in self._called():
            meant = names.meant(name)
            if len(meant) == 1:
                found[meant[0]].append(path)
            else:
                foreign.append(str(path))
        missing = [name for name in scored if name not in found]
        twice = [str(path) for name in scored for path in found.get(name, [])[1:]]
        if missing or twice:
            counted = (
                (f"of {len(scored)} images have no file", missing),
                ("files are second ones for an image", twice),
                ("files are of no image, or of several", foreign),
            )
            listed = "; ".join(f"{len(names)} {what}: {examples(names)}" for what, names in counted
                               if names)  # fmt: skip
            raise DataError(
                f"external predictions '{self.name}', {self.folder}: {REFUSAL} {listed}. Frames "
                f"are called as in {examples(scored[:1])}, with one of the endings "
                f"{', '.join(sorted(SUFFIXES))}; `files` says how files are called otherwise."
            )
        if foreign:
            LOG.warning(
                "%s: %d files are of no image of the dataset: %s",
                self.name, len(foreign), examples(foreign),
            )  # fmt: skip
        return {name: found[name][0] for name in scored}

    def _called(self) -> Iterator[tuple[Path, str]]:
        """Every file, with what its image is called."""
        pattern = re.compile("(.+)".join(map(re.escape, self.files.split("{frame}"))))
        for place, folders, files in os.walk(self.folder):
            folders.sort()
            for file in sorted(files):
                path = Path(place, file)
                below = path.relative_to(self.folder).as_posix()
                if not self.files:
                    if path.suffix.lower() in SUFFIXES:
                        yield path, below
                elif match := pattern.fullmatch(below):
                    yield path, match[1]


def score_outside(
    outside: Outside,
    dataset: Path,
    classes: Sequence[tuple[str, Sequence[int]]],
    names: Path,
    files: EvaluationFiles,
    workers: int,
    max_pixels: int,
    size: tuple[int, int] | None = None,
) -> None:
    """Score them, and leave behind what a run that was trained here does.

    Args:
        outside: the predictions.
        dataset: folder of the prepared dataset.
        classes: names and colours of the classes, as they are shown.
        names: the file that lists the frames that are scored.
        files: where to store it; `history.csv` and `train.json` are written beside.
        workers: processes.
        max_pixels: of an image; more are refused before they are decoded.
        size: height and width at which maps are compared; None is the label's own.

    Raises:
        DataError: a file is missing or cannot be used; all of them, with counts and examples.
    """
    manifest = Manifest.read(dataset / "manifest.json")
    frames = read_frames(dataset / "frames.csv")
    splits = dict(zip(frames["name"], frames["split"], strict=True))
    scored = names.read_text(encoding="utf-8").splitlines()
    predicted = outside.by_frame(list(splits), scored)
    colors = tuple((int(r), int(g), int(b)) for _, (r, g, b) in classes)
    form = Form(len(colors), colors, outside.no_class, max_pixels)
    scale = Scale(len(colors), int(outside.no_class is not None), size)
    jobs = [
        (name, dataset / f"{splits[name]}_label/{name}.png", predicted[name]) for name in scored
    ]
    evaluated = _evaluated(outside, jobs, (form, scale), workers)
    record = score(
        evaluated, manifest.class_names, manifest.scored_split, HOW, Weights(), size=size
    )
    evaluated.write(files, record)
    write_history(files.metrics.with_name("history.csv"), [])
    _train_record(outside, manifest).write(files.metrics.with_name("train.json"))
    LOG.info("%s: mean IoU %.2f %%", outside.name, 100 * record.miou)


def _evaluated(
    outside: Outside,
    jobs: Sequence[tuple[str, Path, Path]],
    how: tuple[Form, Scale],
    workers: int,
) -> Evaluated:
    """Every image, counted.

    Raises:
        DataError: files that cannot be used, by kind of problem, with counts and examples.
    """
    evaluated, problems = Evaluated(), defaultdict[str, list[str]](list)
    progress = Progress(f"score {outside.name}", len(jobs), "images")
    with process_pool(workers, _prepare, how) as pool:
        for job, done in zip(jobs, pool.map(_count, jobs, chunksize=AT_ONCE), strict=True):
            if isinstance(done, UnusablePredictionError):
                detail = f" ({done.detail})" if done.detail else ""
                problems[done.kind].append(f"{job[2]}{detail}")
            else:
                evaluated.add(job[0], *done)
            progress.step()
    if problems:
        # in one line, which is what is said again at the end
        listed = "; ".join(
            f"{len(found)} of {len(jobs)} files: each {kind}: {examples(found)}"
            for kind, found in problems.items()
        )
        raise DataError(f"external predictions '{outside.name}': {REFUSAL} {listed}.")
    return evaluated


_HOW: tuple[Form, Scale] | None = None  # of this process


def _prepare(how: tuple[Form, Scale]) -> None:
    global _HOW
    _HOW = how


def _count(
    job: tuple[str, Path, Path],
) -> tuple[ImageCounts, Picture] | UnusablePredictionError:
    """Count one image; a problem is given back, so that all are known before it ends."""
    assert _HOW is not None
    form, scale = _HOW
    _, label, path = job
    truth = np.asarray(cv2.imread(str(label), cv2.IMREAD_UNCHANGED), np.uint8)
    try:
        ids = read_prediction(path, form, *truth.shape)
    except UnusablePredictionError as problem:
        return problem
    return scale.count(truth, ids), picture_of(ids)


def _train_record(outside: Outside, manifest: Manifest) -> TrainRecord:
    return TrainRecord(
        run=f"{outside.name}/{EXTERNAL}/seed{outside.seed}",
        seed=outside.seed,
        initialization=EXTERNAL,
        dataset=manifest.name,
        classes=manifest.class_names,
    )
