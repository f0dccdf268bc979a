"""Bring a dataset into the one form that every model here reads, in one pass over its files.

The outcome is the layout MMSegmentation users know: `train_img/ train_label/ val_img/ val_label/`
with `splits/*.txt`, and `manifest.json`, which says what is in it and where it came from. Every
file is read once: the same pass hashes, decodes, checks, counts and writes.
"""

import hashlib
import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, UnidentifiedImageError

from segbench.datasets.description import LIST_SUFFIX, DatasetDescription, RandomSplit
from segbench.datasets.findings import grouped_errors
from segbench.datasets.labels import LabelReader
from segbench.datasets.layout import Frame, example_files, find_frames
from segbench.datasets.presence import COLUMN, classes_seen
from segbench.datasets.splitting import stratified_split
from segbench.errors import DataError
from segbench.files import place
from segbench.progress import Progress

LOG = logging.getLogger(__name__)
SIDES = ("train", "val")
UNSPLIT = "unsplit"  # where frames wait until their side is drawn
KINDS = ("img", "label")
CHUNK = 8
EXIF_ORIENTATION = 0x0112
# what Pillow raises for files that are no sound image
UNREADABLE = (
    UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError,
)  # fmt: skip

ClassCounts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one frame turned out to be: its record, or what is wrong with it."""

    record: dict[str, Any] | None = None
    pixels: ClassCounts | None = None
    fault: tuple[str, str, str] | None = None


def prepare(description: DatasetDescription, source: Path, folder: Path, workers: int = 1) -> None:
    """Write the prepared dataset.

    Args:
        description: what the dataset looks like.
        source: folder that holds it (an archive must be unpacked first).
        folder: where to write; `manifest.json` is written last.
        workers: number of processes.

    Raises:
        DataError: the source cannot be used; every kind of problem with counts and examples.
    """
    root = source / description.root
    sides = _frames_of_sides(description, root)
    _make_folders(folder, sides)
    work = [(side, frame) for side in sides for frame in sides[side]]
    LOG.info("%s: %d images found in %s", description.name, len(work), root)

    reader = LabelReader(description)
    one = partial(_prepare_frame, root=root, folder=folder, reader=reader)
    outcomes = list(_run(one, work, workers, Progress("prepare", len(work), "images")))

    errors = grouped_errors(outcome.fault for outcome in outcomes if outcome.fault)
    if errors:
        listing = "\n".join(error.as_text() for error in errors)
        raise DataError(f"{description.name}: the dataset cannot be used as it is.\n{listing}")
    if description.splits.random:
        outcomes = _split_at_random(outcomes, folder, description.splits.random)
    _write_splits(folder, outcomes)
    _write_manifest(folder, description, outcomes)


def _make_folders(folder: Path, sides: Iterable[str]) -> None:
    """Make the folders of all sides, empty."""
    for side in {*SIDES, *sides}:
        for kind in KINDS:
            shutil.rmtree(folder / f"{side}_{kind}", ignore_errors=True)
            (folder / f"{side}_{kind}").mkdir(parents=True)


def _split_at_random(
    outcomes: Sequence[Prepared], folder: Path, split: RandomSplit
) -> list[Prepared]:
    """Move prepared frames to their sides, which can be drawn only now that classes are counted."""
    records = [dict(outcome.record or {}) for outcome in outcomes]
    pixels = np.stack([outcome.pixels for outcome in outcomes if outcome.pixels is not None])
    groups = [record["group"] or record["name"] for record in records]
    try:
        on_val = stratified_split(groups, pixels[:, :255], split.val, split.seed)
    except ValueError as error:
        raise DataError(
            f"`splits.random`: {error}, so there is nothing to draw. Correct `{{group}}` in the "
            "pattern of the images, or name a split of your own."
        ) from None
    for record, val in zip(records, on_val, strict=True):
        record["split"] = "val" if val else "train"
        for kind, suffix in zip(KINDS, (record["suffix"], ".png"), strict=True):
            name = record["name"] + suffix
            (folder / f"{UNSPLIT}_{kind}" / name).rename(
                folder / f"{record['split']}_{kind}" / name
            )
    for kind in KINDS:
        (folder / f"{UNSPLIT}_{kind}").rmdir()
    moved = [
        Prepared(record=record, pixels=outcome.pixels)
        for record, outcome in zip(records, outcomes, strict=True)
    ]
    return sorted(moved, key=lambda one: SIDES.index(one.record["split"]) if one.record else 0)


def _frames_of_sides(description: DatasetDescription, root: Path) -> dict[str, list[Frame]]:
    """The frames of the training and the validation side, by their names."""
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder. Check `source` and `root` of the dataset description, or "
            "say where the dataset lies with `dataset_sources` in the config."
        )
    frames = list(find_frames(root, description.images, description.labels.path))
    if description.splits.random:
        if not frames:
            raise _nothing_found(root, description, "")
        _refuse_collisions(frames)
        return {UNSPLIT: frames}
    wanted = {"train": description.splits.train, "val": description.splits.val}
    sides = {side: _frames_of_side(frames, root, value) for side, value in wanted.items()}
    for side, value in wanted.items():
        if not sides[side]:
            raise _nothing_found(root, description, f" for the {side} side, '{value}'")
        _refuse_collisions(sides[side])
    return sides


def _nothing_found(root: Path, description: DatasetDescription, side: str) -> DataError:
    return DataError(
        f"{root}: no image matches '{description.images}'{side}. "
        f"There are files such as: {', '.join(example_files(root)) or '(none)'}. "
        "Correct `images`, `root` or `splits` in the dataset description."
    )


def _frames_of_side(frames: Sequence[Frame], root: Path, value: str) -> list[Frame]:
    """The frames of one side: those of a value of `{split}`, or those that a list file names."""
    if not value.endswith(LIST_SUFFIX):
        return [frame for frame in frames if frame.split == value]
    path = root / value
    if not path.is_file():
        raise DataError(f"{path}: no such list; correct `splits` in the dataset description")
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text; save the list as UTF-8") from None
    # a line may name a frame, `<group>__<frame>`, or the path of its image below `root`
    names = {words[0].removeprefix("./") for words in lines if words}
    named = [(name, frame) for frame in frames for name in names & _names(frame)]
    by_name = dict(named)
    for name, frame in named:
        if by_name[name] is not frame:
            raise DataError(
                f"{path}: '{name}' names both {frame.image} and {by_name[name].image}; write "
                f"{frame.name} and {by_name[name].name} instead"
            )
    missing = sorted(names - by_name.keys())
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(names)} listed frames have no image, for instance "
            f"{', '.join(missing[:3])}. Correct the list, or `images` in the dataset description."
        )
    return list(dict.fromkeys(frame for _, frame in named))


def _names(frame: Frame) -> set[str]:
    image = Path(frame.image)
    paths = {frame.image, image.with_suffix("").as_posix()}
    return {frame.name, frame.frame, image.name, image.stem, *paths}


def _refuse_collisions(frames: Sequence[Frame]) -> None:
    first: dict[str, Frame] = {}
    for frame in frames:
        other = first.setdefault(frame.name, frame)
        if other is not frame:
            raise DataError(
                f"{other.image} and {frame.image} would both be named '{frame.name}'. "
                "Add a {group} wildcard to the patterns, so that their folders tell them apart."
            )


def _run(
    one: partial[Prepared], work: list[tuple[str, Frame]], workers: int, progress: Progress
) -> Iterator[Prepared]:
    if workers <= 1:
        for item in work:
            progress.step()
            yield one(item)
        return
    with ProcessPoolExecutor(workers) as pool:
        for outcome in pool.map(one, work, chunksize=CHUNK):
            progress.step()
            yield outcome


def _prepare_frame(
    item: tuple[str, Frame], root: Path, folder: Path, reader: LabelReader
) -> Prepared:
    """Read, check and write one image and its label."""
    side, frame = item
    try:
        return _write_frame(side, frame, root, folder, reader)
    except _FaultError as fault:
        return Prepared(fault=fault.triple)


class _FaultError(Exception):
    def __init__(self, problem: str, remedy: str, example: str) -> None:
        super().__init__(problem)
        self.triple = (problem, remedy, example)


def _write_frame(
    side: str, frame: Frame, root: Path, folder: Path, reader: LabelReader
) -> Prepared:
    image_path = root / frame.image
    if not frame.name.isprintable():
        raise _FaultError(
            "file names with characters that cannot be written",
            "rename the files to plain letters, digits, '_' and '-'",
            repr(frame.image),
        )
    try:
        image_data = image_path.read_bytes()
    except OSError as error:
        raise _FaultError(
            "images that cannot be read",
            "copy or download the files again, or remove them together with their labels",
            f"{image_path}: {error.strerror}",
        ) from None
    size, brightness = _size_and_brightness(image_path, image_data)
    label_path = _label_path(root, frame)
    try:
        label = reader.read(label_path.read_bytes())
    except DataError as error:
        raise _FaultError(
            "labels that cannot be used",
            "mend or remove the files; a value or label that is meant to be there goes into a "
            "class or into ignore_values / ignore_labels of the class list",
            f"{label_path}: {error}",
        ) from None
    if label.shape != size:
        raise _FaultError(
            "labels of another size than their image",
            "make the label again at the size of the image, or remove the pair",
            f"{label_path}: {label.shape[1]}x{label.shape[0]}, image {size[1]}x{size[0]}",
        )
    suffix = image_path.suffix.lower()
    linked = place(image_path, folder / f"{side}_img" / f"{frame.name}{suffix}")
    written = cv2.imencode(".png", label, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1]
    (folder / f"{side}_label" / f"{frame.name}.png").write_bytes(written.tobytes())
    record = {
        "split": side,
        "name": frame.name,
        "group": frame.group,
        "height": size[0],
        "width": size[1],
        "brightness": brightness,
        "suffix": suffix,
        "placed": linked,
        "image_sha256": hashlib.sha256(image_data).hexdigest(),
        "label_sha256": hashlib.sha256(label.tobytes()).hexdigest(),
    }
    return Prepared(record=record, pixels=np.bincount(label.ravel(), minlength=256))


def _size_and_brightness(path: Path, data: bytes) -> tuple[tuple[int, int], float]:
    """Height and width, and the mean of the grey image as a fraction of white.

    The image is decoded in full, because a truncated file still has a good header.
    """
    try:
        with Image.open(BytesIO(data)) as image:
            if image.getexif().get(EXIF_ORIENTATION, 1) not in (0, 1):
                raise _FaultError(
                    "images that are turned by an EXIF note",
                    "turn the pixels themselves (for instance `mogrify -auto-orient`), and check "
                    "that the label fits: programs differ in whether they heed the note",
                    f"{path}: orientation {image.getexif()[EXIF_ORIENTATION]}",
                )
            grey = np.asarray(image.convert("L"))
            return (image.height, image.width), round(float(grey.mean()) / 255, 4)
    except UNREADABLE as error:
        raise _FaultError(
            "images that cannot be read",
            "copy or download the files again, or remove them together with their labels",
            f"{path}: {_reason(error)}",
        ) from None


def _reason(error: Exception) -> str:
    """The error without the address of the buffer that was decoded."""
    return "no image, or of an unknown form" if "BytesIO" in str(error) else str(error)


def _label_path(root: Path, frame: Frame) -> Path:
    for candidate in frame.labels:
        if (root / candidate).is_file():
            return root / candidate
    raise _FaultError(
        "images without a label",
        "add the label, remove the image, or correct `labels.path` in the dataset description",
        f"{root / frame.image}: looked for {', '.join(frame.labels)}",
    )


def _write_splits(folder: Path, outcomes: Sequence[Prepared]) -> None:
    (folder / "splits").mkdir(exist_ok=True)
    records = [outcome.record for outcome in outcomes if outcome.record]
    for side in SIDES:
        names = [record["name"] for record in records if record["split"] == side]
        (folder / "splits" / f"{side}.txt").write_text("".join(f"{name}\n" for name in names))


def _write_manifest(
    folder: Path, description: DatasetDescription, outcomes: Sequence[Prepared]
) -> None:
    """Write `frames.csv` (a row per frame) and `manifest.json` (the dataset as a whole)."""
    frames = pd.DataFrame([outcome.record for outcome in outcomes])
    pixels = np.stack([outcome.pixels for outcome in outcomes if outcome.pixels is not None])
    count = len(description.classes.classes)
    frames[COLUMN] = classes_seen(pixels[:, :count])
    frames.to_csv(folder / "frames.csv", index=False)
    sizes = Counter(zip(frames["height"].tolist(), frames["width"].tolist(), strict=True))
    manifest = {
        "name": description.name,
        "label_format": description.labels.format,
        "source": description.source.model_dump(exclude_none=True),
        "content_sha256": _content_hash(frames),
        "classes": [{"name": c.name, "color": list(c.color)} for c in description.classes.classes],
        "ignore_index": 255,
        "image_sizes": [[*size, number] for size, number in sizes.most_common()],
        "image_suffixes": sorted(frames["suffix"].unique().tolist()),
        "images_placed_by": sorted(frames["placed"].unique().tolist()),
        "splits": {side: _side_summary(frames, pixels, side, count) for side in SIDES},
        "cooccurrence": _cooccurrence(pixels[:, :count]),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    LOG.info("%s: prepared, %s", description.name, folder / "manifest.json")


def _cooccurrence(pixels: ClassCounts) -> list[list[int]]:
    """In how many images two classes are both seen, [classes][classes]."""
    seen = (pixels > 0).astype(np.int64)
    return (seen.T @ seen).tolist()  # type: ignore[no-any-return]


def _content_hash(frames: pd.DataFrame) -> str:
    """A hash of what a model can see: names, images and labels, not where they came from."""
    columns = ["split", "name", "image_sha256", "label_sha256"]
    return hashlib.sha256(frames[columns].to_csv(index=False).encode()).hexdigest()


def _side_summary(
    frames: pd.DataFrame, pixels: npt.NDArray[np.int64], side: str, classes: int
) -> dict[str, Any]:
    rows = (frames["split"] == side).to_numpy()
    counts = pixels[rows]
    seen = counts[:, :classes] > 0
    labelled = counts[:, :classes].sum(axis=1)
    return {
        "images": int(rows.sum()),
        "groups": int(frames.loc[rows, "group"].nunique()),
        "class_pixels": counts[:, :classes].sum(axis=0).tolist(),
        "class_images": seen.sum(axis=0).tolist(),
        # labelled pixels of the images that show a class, for median frequency balancing
        "pixels_where_seen": (seen * labelled[:, None]).sum(axis=0).tolist(),
        "ignored_pixels": int(counts[:, 255].sum()),
        "brightness": round(float(frames.loc[rows, "brightness"].mean()), 4),
    }
