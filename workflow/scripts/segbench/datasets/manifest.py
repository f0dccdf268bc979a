"""Write what a prepared dataset holds: the lists of its sides, a table of frames, the manifest."""

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from segbench.datasets.description import DatasetDescription
from segbench.datasets.findings import Finding
from segbench.datasets.presence import COLUMN, classes_seen

LOG = logging.getLogger(__name__)
SIDES = ("train", "val")

Counts = npt.NDArray[np.int64]


def write_splits(folder: Path, records: Sequence[dict[str, Any]]) -> None:
    """Write `splits/train.txt` and `splits/val.txt`, the names of the frames of each side.

    With folds also `splits/fold0/train.txt` and so on; the images lie as for the first fold.
    """
    for side in SIDES:
        names = [record["name"] for record in records if record["split"] == side]
        _write_list(folder / "splits" / f"{side}.txt", names)
    for fold in sorted({record["fold"] for record in records if "fold" in record}):
        for side in SIDES:
            names = [r["name"] for r in records if (r["fold"] == fold) == (side == "val")]
            _write_list(folder / "splits" / f"fold{fold}" / f"{side}.txt", names)


def _write_list(path: Path, names: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def write_manifest(
    folder: Path,
    description: DatasetDescription,
    records: Sequence[dict[str, Any]],
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
    frames = pd.DataFrame(records)
    frames[COLUMN] = classes_seen(pixels[:, :-1])
    frames.to_csv(folder / "frames.csv", index=False)
    sizes = Counter(zip(frames["height"].tolist(), frames["width"].tolist(), strict=True))
    manifest = {
        "name": description.name,
        "label_format": description.labels.format,
        "values_given": any(found.values for found in description.classes.classes),
        "source": description.source.model_dump(exclude_none=True),
        "content_sha256": _content_hash(frames),
        "classes": [{"name": c.name, "color": list(c.color)} for c in description.classes.classes],
        "ignore_index": 255,
        "image_sizes": [[*size, number] for size, number in sizes.most_common()],
        "image_suffixes": sorted(frames["suffix"].unique().tolist()),
        "images_placed_by": sorted(frames["placed"].unique().tolist()),
        "splits": {side: _side_summary(frames, pixels, side) for side in SIDES},
        "folds": _folds(frames, pixels),
        "cooccurrence": _cooccurrence(pixels[:, :-1]),
        "findings": [finding.as_dict() for finding in findings],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    LOG.info("%s: prepared, %s", description.name, folder / "manifest.json")


def _cooccurrence(pixels: Counts) -> list[list[int]]:
    """In how many images two classes are both seen, [classes][classes]."""
    seen = (pixels > 0).astype(np.int64)
    return (seen.T @ seen).tolist()  # type: ignore[no-any-return]


def _content_hash(frames: pd.DataFrame) -> str:
    """A hash of what a model can see: names, images and labels, not where they came from."""
    columns = ["split", "name", "image_sha256", "label_sha256"]
    columns += ["fold"] if "fold" in frames else []
    return hashlib.sha256(frames[columns].to_csv(index=False).encode()).hexdigest()


def _folds(frames: pd.DataFrame, pixels: Counts) -> list[dict[str, Any]]:
    """For each fold how many images are trained and validated on, and the latter's classes."""
    if "fold" not in frames:
        return []
    return [
        {
            "train": int((frames["fold"] != fold).sum()),
            "val": int((frames["fold"] == fold).sum()),
            "val_class_pixels": pixels[(frames["fold"] == fold).to_numpy(), :-1].sum(0).tolist(),
        }
        for fold in sorted(frames["fold"].unique())
    ]


def _side_summary(frames: pd.DataFrame, pixels: Counts, side: str) -> dict[str, Any]:
    rows = (frames["split"] == side).to_numpy()
    counts, void = pixels[rows, :-1], pixels[rows, -1]
    seen = counts > 0
    labelled = counts.sum(axis=1)
    return {
        "images": int(rows.sum()),
        "groups": int(frames.loc[rows, "group"].nunique()),
        "class_pixels": counts.sum(axis=0).tolist(),
        "class_images": seen.sum(axis=0).tolist(),
        # labelled pixels of the images that show a class, for median frequency balancing
        "pixels_where_seen": (seen * labelled[:, None]).sum(axis=0).tolist(),
        "ignored_pixels": int(void.sum()),
        "brightness": round(float(frames.loc[rows, "brightness"].mean()), 4),
    }
