"""Judge a prepared dataset from what the one pass over its files has noted.

Reads the manifest and the frame table, no image. Errors stop the workflow before a GPU second is
spent; warnings land in the report. A further check is one more function in `CHECKS` and its words
in `findings.KINDS`.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from segbench.datasets.findings import DatasetCheck, Finding, finding
from segbench.datasets.manifest import SPOKEN, Manifest
from segbench.errors import DataError
from segbench.system.progress import Progress

LOG = logging.getLogger(__name__)
FEW_IMAGES = 20
RARE_SHARE = 0.0005
MUCH_VOID = 0.01
VOID_NAMES = {"void", "unlabeled", "unlabelled", "ignore", "ignored", "out of roi", "don't care"}


def check_dataset(manifest_path: Path, frames_path: Path) -> DatasetCheck:
    """Run every check on a prepared dataset.

    Returns:
        The warnings, those of the preparation included.

    Raises:
        DataError: the dataset has errors; all of them, with counts and remedies. Or the manifest
            is damaged or of another version.
    """
    manifest = Manifest.read(manifest_path)
    findings = findings_in(manifest, read_frames(frames_path))
    errors = [found for found in findings if found.level == "error"]
    if errors:
        listing = "\n".join(error.as_text() for error in errors)
        raise DataError(f"{manifest.name}: not fit for training.\n{listing}")
    for found in findings:
        LOG.warning("%s: %s", manifest.name, found.as_text())
    return DatasetCheck(warnings=tuple(findings))


def read_frames(path: Path) -> pd.DataFrame:
    """`frames.csv` of a prepared dataset, a row per frame."""
    return pd.read_csv(path, keep_default_na=False, dtype={"group": str, "name": str})


def findings_in(manifest: Manifest, frames: pd.DataFrame) -> list[Finding]:
    """What every check finds, those of the preparation included; classes as the manifest says."""
    findings = list(manifest.findings)
    progress = Progress(f"check {manifest.name}", len(CHECKS), "checks")
    for check in CHECKS:
        findings += check(manifest, frames)
        progress.step()
    return findings


def _absent_classes(manifest: Manifest, frames: pd.DataFrame) -> Iterator[Finding]:
    names = manifest.class_names
    for split, summary in manifest.splits.items():
        code = f"absent-in-{SPOKEN[split]}"
        pixels = summary.class_pixels
        absent = [name for name, count in zip(names, pixels, strict=True) if count == 0]
        if len(absent) == len(names):
            yield finding("nothing-labelled", absent, split=split)
        elif absent:
            yield finding(code, absent)


def _absent_in_folds(manifest: Manifest, frames: pd.DataFrame) -> Iterator[Finding]:
    names = manifest.class_names
    absent = [
        f"{name} in fold {number}"
        for number, fold in enumerate(manifest.folds)
        for name, count in zip(names, fold.val_class_pixels, strict=True)
        if count == 0
    ]
    if absent:
        yield finding("absent-in-fold", absent)


def _binary_masks(manifest: Manifest, frames: pd.DataFrame) -> Iterator[Finding]:
    """Masks of 0 and 255, of which the 255 was taken for void."""
    train = manifest.splits["train"]
    first, *others = train.class_pixels
    is_index = manifest.label_format == "index"
    if is_index and first and not any(others) and train.ignored_pixels:
        yield finding("binary-masks", count=train.images)


def _shifted_labels(manifest: Manifest, frames: pd.DataFrame) -> Iterator[Finding]:
    """Index maps that count from one, or from which one was subtracted (reduce_zero_label)."""
    if manifest.label_format != "index" or manifest.values_given:
        return
    first, *between, last = _pixels_of_all(manifest)
    if not first and (any(between) or last):
        yield finding("starts-at-one", manifest.class_names[:1])
    void = sum(split.ignored_pixels for split in manifest.splits.values())
    if not last and any(between) and void > MUCH_VOID * (void + first + sum(between)):
        share = 100 * void / (void + first + sum(between))
        name = manifest.class_names[-1]
        yield finding("shifted-down", [f"{name} never, void in {share:.1f} % of the pixels"])


def _void_classes(manifest: Manifest, frames: pd.DataFrame) -> Iterator[Finding]:
    named = [name for name in manifest.class_names if name.lower() in VOID_NAMES]
    if named:
        yield finding("void-class", named)


def _rare_classes(manifest: Manifest, frames: pd.DataFrame) -> Iterator[Finding]:
    pixels = manifest.splits["train"].class_pixels
    total = sum(pixels) or 1
    rare = [
        f"{name}: {100 * count / total:.3f} % of the training pixels"
        for name, count in zip(manifest.class_names, pixels, strict=True)
        if 0 < count < RARE_SHARE * total
    ]
    if rare:
        yield finding("rare-class", rare, share=100 * RARE_SHARE)


def _few_images(manifest: Manifest, frames: pd.DataFrame) -> Iterator[Finding]:
    images, split = manifest.splits[manifest.scored_split].images, SPOKEN[manifest.scored_split]
    if images < FEW_IMAGES:
        yield finding("few-scored-images", count=images, few=FEW_IMAGES, split=split)


def _shared_groups(manifest: Manifest, frames: pd.DataFrame) -> Iterator[Finding]:
    spread = frames[frames["group"] != ""].groupby("group")["split"].nunique()
    shared = sorted(spread[spread > 1].index)
    if shared:
        yield finding("shared-group", shared)


def _duplicates(manifest: Manifest, frames: pd.DataFrame) -> Iterator[Finding]:
    """Images with the same content: in both splits, on one, or with labels that disagree."""
    repeated = frames[frames.duplicated("image_sha256", keep=False)]
    found: dict[str, list[str]] = {
        "duplicate-across": [], "duplicate-within": [], "contradicting-labels": [],
    }  # fmt: skip
    for _, same in repeated.groupby("image_sha256", sort=False):
        names = same["name"].tolist()
        on_both = same["split"].nunique() > 1
        found["duplicate-across" if on_both else "duplicate-within"].append(_joined(names))
        if same["label_sha256"].nunique() > 1:
            found["contradicting-labels"].append(_joined(names))
    for code, examples in found.items():
        if examples:
            yield finding(code, examples)


def _joined(names: Sequence[str], shown: int = 4) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return " = ".join(names[:shown]) + more


def _pixels_of_all(manifest: Manifest) -> list[int]:
    """Pixels of each class on all splits."""
    splits = [split.class_pixels for split in manifest.splits.values()]
    return [sum(counts) for counts in zip(*splits, strict=True)]


Check = Callable[[Manifest, pd.DataFrame], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    _absent_classes, _absent_in_folds, _binary_masks, _shifted_labels, _void_classes, _rare_classes,
    _few_images, _shared_groups, _duplicates,
)  # fmt: skip
