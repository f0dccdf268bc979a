"""What a prepared dataset holds: the manifest, the lists of its splits, a table of frames."""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field

from segbench.datasets.class_list import IGNORE_INDEX
from segbench.datasets.description import DatasetDescription
from segbench.datasets.findings import Finding
from segbench.datasets.frame_record import FrameRecord
from segbench.datasets.frame_table import COLUMN, classes_seen
from segbench.datasets.meaning import Shown
from segbench.system.records import Record

if TYPE_CHECKING:
    import pandas as pd

LOG = logging.getLogger(__name__)
SPLITS = ("train", "val", "test")

SPOKEN = {"train": "training", "val": "validation", "test": "test"}

Counts = npt.NDArray[np.int64]


class ClassEntry(BaseModel):
    """One class: its name, and red, green and blue, 0 to 255."""

    name: str
    color: tuple[int, int, int]


class SplitSummary(BaseModel):
    """What is in one split, over all of its images.

    Attributes:
        images, groups: how many images, and how many drives or sequences.
        class_pixels, class_images: by class, pixels and images that show it.
        pixels_where_seen: by class, labelled pixels of the images that show it.
        ignored_pixels: void.
        brightness: mean, a fraction of white.
    """

    images: int
    groups: int
    class_pixels: tuple[int, ...]
    class_images: tuple[int, ...]
    pixels_where_seen: tuple[int, ...]
    ignored_pixels: int
    brightness: float


class FoldSummary(BaseModel):
    """How many images a fold trains and validates on, and the latter's pixels by class."""

    train: int
    val: int
    val_class_pixels: tuple[int, ...]


class Manifest(Record):
    """`manifest.json`: a prepared dataset as a whole.

    Attributes:
        name: of the dataset.
        label_format: the form its labels had.
        values_given: whether the description gives the classes values of their own.
        source: where it came from, as the description says it.
        content_sha256: of what a training can see, so without the test split.
        classes: by id, as they were shown when the dataset was prepared; see `shown_with`.
        ignore_index: value of void in the labels.
        image_sizes: height, width and number of images, the most frequent first.
        image_suffixes, images_placed_by: those that occur.
        splits: `train`, `val` and, where there is one, `test`.
        scored_sha256: of the images and labels that models are compared on.
        folds: in their order; none without cross-validation.
        cooccurrence: in how many images two classes are both seen, [classes][classes].
        findings: what the files gave rise to.
    """

    name: str
    label_format: str = "index"
    values_given: bool = False
    source: dict[str, object] = Field(default_factory=dict)
    content_sha256: str = ""
    scored_sha256: str = ""
    classes: tuple[ClassEntry, ...]
    ignore_index: int = IGNORE_INDEX
    image_sizes: tuple[tuple[int, int, int], ...]
    image_suffixes: tuple[str, ...] = ()
    images_placed_by: tuple[str, ...] = ()
    splits: dict[str, SplitSummary]
    folds: tuple[FoldSummary, ...] = ()
    cooccurrence: tuple[tuple[int, ...], ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, by id."""
        return tuple(found.name for found in self.classes)

    @property
    def palette(self) -> list[list[int]]:
        """Colours of the classes, by id."""
        return [list(found.color) for found in self.classes]

    def shown_with(self, classes: Sequence[Shown]) -> Self:
        """This manifest with the names and colours that the description gives now.

        The file keeps those of the day the dataset was prepared, because it is not written again
        for names and colours.
        """
        entries = tuple(ClassEntry(name=name, color=color) for name, color in classes)
        return self.model_copy(update={"classes": entries})

    @property
    def scored_split(self) -> str:
        """The split that models are compared on."""
        return "test" if "test" in self.splits else "val"

    @property
    def scored_images(self) -> str:
        """What its images are called."""
        return f"{SPOKEN[self.scored_split]} images"

    @property
    def common_size(self) -> tuple[int, int]:
        """Height and width that most images have."""
        height, width, _ = self.image_sizes[0]
        return height, width


def write_splits(folder: Path, records: Sequence[FrameRecord], splits: Sequence[str]) -> None:
    """Write `splits/train.txt` and so on, the names of the frames of each split.

    With folds also `splits/fold0/train.txt` and so on; the images lie as for the first fold.
    """
    for split in splits:
        names = [record["name"] for record in records if record["split"] == split]
        _write_list(folder / "splits" / f"{split}.txt", names)
    dealt = [record for record in records if "fold" in record]
    for fold in sorted({record["fold"] for record in dealt}):
        for split in ("train", "val"):
            names = [r["name"] for r in dealt if (r["fold"] == fold) == (split == "val")]
            _write_list(folder / "splits" / f"fold{fold}" / f"{split}.txt", names)


def _write_list(path: Path, names: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def write_manifest(
    folder: Path,
    description: DatasetDescription,
    records: Sequence[FrameRecord],
    pixels: Counts,
    findings: Sequence[Finding],
) -> None:
    """Write `frames.csv` (a row per frame) and `manifest.json` (the dataset as a whole).

    Args:
        folder: the prepared dataset.
        description: what it was prepared by.
        records: one per frame.
        pixels: pixels by frame and class, void last, [frames, classes + 1].
        findings: the warnings that the files gave rise to.
    """
    import pandas as pd  # only to write one: a training reads manifests, and starts sooner without

    frames = pd.DataFrame(records)
    if "fold" in frames:
        frames["fold"] = frames["fold"].astype("Int64")  # none in a test split
    frames[COLUMN] = classes_seen(pixels[:, :-1])
    frames.to_csv(folder / "frames.csv", index=False)
    sizes = Counter(zip(frames["height"].tolist(), frames["width"].tolist(), strict=True))
    manifest = Manifest(
        name=description.name,
        label_format=description.labels.format,
        values_given=any(found.values for found in description.classes.classes),
        source=description.source.model_dump(exclude_none=True),
        content_sha256=_content_hash(frames[frames["split"] != "test"]),
        scored_sha256=_content_hash(frames[frames["split"] == description.splits.names[-1]]),
        classes=tuple(ClassEntry(name=c.name, color=c.color) for c in description.classes.classes),
        image_sizes=tuple((*size, number) for size, number in sizes.most_common()),
        image_suffixes=tuple(sorted(frames["suffix"].unique().tolist())),
        images_placed_by=tuple(sorted(frames["placed"].unique().tolist())),
        splits={split: _summary(frames, pixels, split) for split in description.splits.names},
        folds=_folds(frames, pixels),
        cooccurrence=_cooccurrence(pixels[:, :-1]),
        findings=tuple(findings),
    )
    manifest.write(folder / "manifest.json")
    LOG.info("%s: prepared, %s", description.name, folder / "manifest.json")


def _cooccurrence(pixels: Counts) -> tuple[tuple[int, ...], ...]:
    """In how many images two classes are both seen, [classes][classes]."""
    seen = (pixels > 0).astype(np.int64)
    return tuple(map(tuple, (seen.T @ seen).tolist()))


def _content_hash(frames: "pd.DataFrame") -> str:
    """A hash of names, images and labels, not of where they came from."""
    columns = ["split", "name", "image_sha256", "label_sha256"]
    columns += ["fold"] if "fold" in frames else []
    return hashlib.sha256(frames[columns].to_csv(index=False).encode()).hexdigest()


def _folds(frames: "pd.DataFrame", pixels: Counts) -> tuple[FoldSummary, ...]:
    """For each fold how many images are trained and validated on, and the latter's classes."""
    if "fold" not in frames:
        return ()
    dealt = frames["fold"].notna().to_numpy()
    frames, pixels = frames[dealt], pixels[dealt]
    return tuple(
        FoldSummary(
            train=int((frames["fold"] != fold).sum()),
            val=int((frames["fold"] == fold).sum()),
            val_class_pixels=pixels[(frames["fold"] == fold).to_numpy(), :-1].sum(0).tolist(),
        )
        for fold in sorted(frames["fold"].unique())
    )


def _summary(frames: "pd.DataFrame", pixels: Counts, split: str) -> SplitSummary:
    rows = (frames["split"] == split).to_numpy()
    counts, void = pixels[rows, :-1], pixels[rows, -1]
    seen = counts > 0
    labelled = counts.sum(axis=1)
    return SplitSummary(
        images=int(rows.sum()),
        groups=int(frames.loc[rows, "group"].nunique()),
        class_pixels=counts.sum(axis=0).tolist(),
        class_images=seen.sum(axis=0).tolist(),
        # labelled pixels of the images that show a class, for median frequency balancing
        pixels_where_seen=(seen * labelled[:, None]).sum(axis=0).tolist(),
        ignored_pixels=int(void.sum()),
        brightness=round(float(frames.loc[rows, "brightness"].mean()), 4),
    )
