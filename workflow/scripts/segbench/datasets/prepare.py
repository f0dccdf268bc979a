"""Bring a dataset into the one form that every model here reads, in one pass over its files.

The outcome is the layout MMSegmentation users know: `train_img/ train_label/ val_img/ val_label/`
with `splits/*.txt`, and `manifest.json`, which says what is in it and where it came from. Every
file is read once: the same pass hashes, decodes, checks, counts and writes. A file that is as it
was at the last time is not read at all.
"""

import gc
import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from segbench.datasets.cache import PreparedCache
from segbench.datasets.description import DatasetDescription
from segbench.datasets.findings import KINDS, grouped
from segbench.datasets.frame_record import FrameRecord
from segbench.datasets.frames import Outcome, Task, Worker
from segbench.datasets.labels import LabelReader
from segbench.datasets.layout import Frame
from segbench.datasets.manifest import SPLITS, Counts, write_manifest, write_splits
from segbench.datasets.shared_labels import entries_taken_twice
from segbench.datasets.source_files import files_that_count
from segbench.datasets.split_settings import Folds, RandomSplit, Splits
from segbench.datasets.splits import UNSPLIT, frames_of_splits
from segbench.datasets.stratification import stratified_folds, stratified_split
from segbench.errors import DataError
from segbench.system.contents import stamps_of, write_contents
from segbench.system.pools import process_pool
from segbench.system.progress import Progress

LOG = logging.getLogger(__name__)
KINDS_OF_FILE = ("img", "label")
SPOKEN_NUMBERS = {2: "two", 3: "three"}
CHUNK = 8
SELDOM = 200_000  # new objects between two collections, some 20 MB

Records = list[FrameRecord]


def prepare(
    description: DatasetDescription,
    source: Path,
    folder: Path,
    workers: int = 1,
    cache: Path | None = None,
    listing: str = "",
) -> None:
    """Write the prepared dataset.

    Args:
        description: what the dataset looks like.
        source: folder that holds it (an archive must be unpacked first).
        folder: where to write; `manifest.json` is written last.
        workers: number of processes.
        cache: folder that keeps what was made of each frame, so that files which have not changed
            since are not read again; on the file system of `folder`, outside it.
        listing: what a plan calls the files of the source, where it is read where it is; what they
            held is then noted in the cache.

    Raises:
        DataError: the source cannot be used; every kind of problem with counts and examples.
    """
    root, at = source / description.root, time.time_ns()
    stamps = stamps_of(root, files_that_count(description, root)) if cache and listing else {}
    splits, findings = frames_of_splits(description, root)
    if description.splits.are_drawn:
        _refuse_undrawable(description.splits, splits[UNSPLIT])
    _make_folders(folder, [*description.splits.names, *splits])
    tasks = [Task(split, frame) for split in splits for frame in splits[split]]
    LOG.info("%s: %d images found in %s", description.name, len(tasks), root)

    prepared = PreparedCache(cache, description, root)
    reader, limit = LabelReader(description), description.max_image_pixels
    worker = Worker(root, folder, reader, limit, prepared)
    outcomes = list(_run(worker, tasks, workers, Progress("prepare", len(tasks), "images")))
    prepared.forget_others(task.frame.image for task in tasks)
    if reused := sum(outcome.reused for outcome in outcomes):
        LOG.info("%s: %d images as before, not read again", description.name, reused)

    faults = [fault for outcome in outcomes for fault in outcome.faults]
    if reader.is_shared:
        faults += entries_taken_twice(root, [task.frame for task in tasks])
    findings += grouped(faults)
    errors = [found.as_text() for found in findings if KINDS[found.code].level == "error"]
    if errors:
        listing = "\n".join(errors)
        raise DataError(f"{description.name}: the dataset cannot be used as it is.\n{listing}")
    records, pixels = _gathered(outcomes)
    if description.splits.are_drawn:
        records, pixels = _draw_splits(records, pixels, folder, description.splits)
    counts = Counter(record["split"] for record in records)
    LOG.info("%s: %s", description.name, ", ".join(f"{n} {split}" for split, n in counts.items()))
    write_splits(folder, records, description.splits.names)
    write_manifest(folder, description, records, pixels, findings)
    if cache and listing:
        hashes = {
            task.frame.image: outcome.record["image_sha256"]
            for task, outcome in zip(tasks, outcomes, strict=True)
            if outcome.record is not None
        }
        write_contents(cache / "contents.json", listing, root, stamps, hashes, at)


def _make_folders(folder: Path, splits: Iterable[str]) -> None:
    """Make the folders of all splits, empty, and leave none of a split that there was before."""
    for split in {*SPLITS, *splits}:
        for kind in KINDS_OF_FILE:
            shutil.rmtree(folder / f"{split}_{kind}", ignore_errors=True)
            if split in splits:
                (folder / f"{split}_{kind}").mkdir(parents=True)
        if split not in splits:
            (folder / "splits" / f"{split}.txt").unlink(missing_ok=True)


def _adjust() -> None:
    """Make a process ready."""
    Image.MAX_IMAGE_PIXELS = None  # the limit is `max_image_pixels`
    # annotations are thousands of small lists; looking for circles in them takes longer than
    # reading them
    gc.set_threshold(SELDOM, *gc.get_threshold()[1:])


def _run(
    worker: Worker, tasks: Sequence[Task], workers: int, progress: Progress
) -> Iterator[Outcome]:
    """Prepare all frames, in their order."""
    if workers <= 1:
        limit, collecting = Image.MAX_IMAGE_PIXELS, gc.get_threshold()
        _adjust()
        try:
            for task in tasks:
                outcome = worker.prepare(task)
                progress.step()
                yield outcome
        finally:
            Image.MAX_IMAGE_PIXELS = limit
            gc.set_threshold(*collecting)
        return
    try:
        with process_pool(workers, _adjust) as pool:
            for outcome in pool.map(worker.prepare, tasks, chunksize=CHUNK):
                progress.step()
                yield outcome
    except BrokenProcessPool:
        raise DataError(
            f"{worker.root}: a process of the preparation was killed, most likely because "
            "memory ran out. Give the job more memory or fewer threads, and run again."
        ) from None


def _gathered(outcomes: Sequence[Outcome]) -> tuple[Records, Counts]:
    """Records and class counts of outcomes without errors."""
    records = [outcome.record for outcome in outcomes if outcome.record is not None]
    return records, np.stack([one.pixels for one in outcomes if one.pixels is not None])


def _refuse_undrawable(splits: Splits, frames: Sequence[Frame]) -> None:
    """Before anything is read: make sure that there are enough groups to draw splits from."""
    groups = {frame.group or frame.name for frame in frames}
    needed = len(splits.names)
    if splits.folds:
        needed = splits.folds.count + (splits.folds.test > 0)
    if len(groups) < needed:
        noun = "group" if len(groups) == 1 else "groups"
        wanted = f"{SPOKEN_NUMBERS.get(needed)} splits"
        if splits.folds:
            wanted = f"{splits.folds.count} folds" + " and a test split" * (splits.folds.test > 0)
        grouped_by = any(frame.group for frame in frames)
        remedies = [
            "Correct `{group}` in the pattern of the images" if grouped_by else "Add images"
        ]
        remedies += ["ask for fewer folds"] if splits.folds else []
        raise DataError(
            f"`splits`: {len(frames)} images in {len(groups)} {noun} cannot fill {wanted}. "
            f"{', '.join(remedies)}, or name a split of your own."
        )


def _draw_splits(
    records: Records, pixels: Counts, folder: Path, splits: Splits
) -> tuple[Records, Counts]:
    """Move prepared frames to their splits, drawn only now that classes are counted."""
    waiting = [i for i, record in enumerate(records) if record["split"] == UNSPLIT]
    groups = [records[i]["group"] or records[i]["name"] for i in waiting]
    drawn = np.full(len(records), "test", dtype="<U5")  # others are there by name
    if splits.folds:
        drawn[waiting], folds = _dealt(groups, pixels[waiting, :-1], splits.folds)
        for i, fold in zip(waiting, folds.tolist(), strict=True):
            if fold >= 0:
                records[i]["fold"] = fold
    else:
        drawn[waiting] = _drawn(groups, pixels[waiting, :-1], splits.random or RandomSplit())
    for i in waiting:
        record = records[i]
        record["split"] = str(drawn[i])
        for kind, suffix in zip(KINDS_OF_FILE, (record["suffix"], ".png"), strict=True):
            name = record["name"] + suffix
            target = folder / f"{record['split']}_{kind}" / name
            (folder / f"{UNSPLIT}_{kind}" / name).rename(target)
    for kind in KINDS_OF_FILE:
        (folder / f"{UNSPLIT}_{kind}").rmdir()
    order = np.argsort([SPLITS.index(split) for split in drawn], kind="stable")
    return [records[i] for i in order], pixels[order]


def _dealt(
    groups: Sequence[str], pixels: Counts, wanted: Folds
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.int64]]:
    """The split of each frame in the first fold, and its fold; -1 in the test split."""
    folds = np.full(len(groups), -1)
    left = np.arange(len(groups))
    if wanted.test:
        left = left[~stratified_split(groups, pixels, wanted.test, wanted.seed)]
    own = [groups[i] for i in left.tolist()]
    folds[left] = stratified_folds(own, pixels[left], wanted.count, wanted.seed)
    # on disk the splits are those of the first fold
    return np.select([folds < 0, folds == 0], ["test", "val"], "train"), folds


def _drawn(groups: Sequence[str], pixels: Counts, wanted: RandomSplit) -> npt.NDArray[np.str_]:
    """The split of each frame: the test split is drawn from all, validation from what is left."""
    drawn = np.full(len(groups), "train", dtype="<U5")
    left = np.arange(len(groups))
    if wanted.test:
        on_test = stratified_split(groups, pixels, wanted.test, wanted.seed)
        drawn[on_test] = "test"
        left = left[~on_test]
    share = wanted.val / (1 - wanted.test)
    on_val = stratified_split([groups[i] for i in left.tolist()], pixels[left], share, wanted.seed)
    drawn[left[on_val]] = "val"
    return drawn
