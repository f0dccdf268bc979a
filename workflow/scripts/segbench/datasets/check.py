"""Judge a prepared dataset from what the one pass over its files has noted.

Reads the manifest and the frame table, no image. Errors stop the workflow before a GPU second is
spent; warnings land in the report. A further check is one more function in `CHECKS`.
"""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from segbench.datasets.findings import SHOWN, Finding
from segbench.errors import DataError

LOG = logging.getLogger(__name__)
FEW_IMAGES = 20
RARE_SHARE = 0.0005


def check_dataset(manifest_path: Path, frames_path: Path) -> list[Finding]:
    """Run every check on a prepared dataset.

    Returns:
        The warnings.

    Raises:
        DataError: the dataset has errors; all of them, with counts and remedies.
    """
    manifest = json.loads(manifest_path.read_text())
    frames = pd.read_csv(frames_path, keep_default_na=False, dtype={"group": str, "name": str})
    findings = [finding for check in CHECKS for finding in check(manifest, frames)]
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        listing = "\n".join(error.as_text() for error in errors)
        raise DataError(f"{manifest['name']}: not fit for training.\n{listing}")
    for finding in findings:
        LOG.warning("%s: %s", manifest["name"], finding.as_text())
    return findings


def _absent_classes(manifest: dict[str, Any], frames: pd.DataFrame) -> Iterator[Finding]:
    names = [found["name"] for found in manifest["classes"]]
    for side, consequence in (
        ("train", "it cannot be learnt: add images that show it or remove it from the classes"),
        ("val", "its IoU is NaN and left out of every mean: add images that show it"),
    ):
        pixels = manifest["splits"][side]["class_pixels"]
        absent = [name for name, count in zip(names, pixels, strict=True) if count == 0]
        if len(absent) == len(names):
            yield Finding(
                "error",
                f"no labelled pixel on the {side} side",
                "check the values or labels of the classes in the dataset description",
                len(absent),
                tuple(absent[:SHOWN]),
            )
        elif absent:
            yield Finding(
                "warning",
                f"classes without a pixel on the {side} side",
                consequence,
                len(absent),
                tuple(absent[:SHOWN]),
            )


def _binary_masks(manifest: dict[str, Any], frames: pd.DataFrame) -> Iterator[Finding]:
    """Masks of 0 and 255, of which the 255 was taken for void."""
    train = manifest["splits"]["train"]
    first, *others = train["class_pixels"]
    is_index = manifest["label_format"] == "index"
    if is_index and first and not any(others) and train["ignored_pixels"]:
        yield Finding(
            "error",
            "labels hold only 0 and void, as 0/255 masks do",
            "give the classes `values: [0]` and `values: [255]`, and set `ignore_values: []` in "
            "the class list",
            train["images"],
            (),
        )


def _rare_classes(manifest: dict[str, Any], frames: pd.DataFrame) -> Iterator[Finding]:
    pixels = manifest["splits"]["train"]["class_pixels"]
    total = sum(pixels) or 1
    rare = [
        f"{found['name']}: {100 * count / total:.3f} % of the training pixels"
        for found, count in zip(manifest["classes"], pixels, strict=True)
        if 0 < count < RARE_SHARE * total
    ]
    if rare:
        yield Finding(
            "warning",
            f"classes below {100 * RARE_SHARE:g} % of the training pixels",
            "expect a low and unsteady IoU; more images of them help most",
            len(rare),
            tuple(rare[:SHOWN]),
        )


def _few_images(manifest: dict[str, Any], frames: pd.DataFrame) -> Iterator[Finding]:
    images = manifest["splits"]["val"]["images"]
    if images < FEW_IMAGES:
        yield Finding(
            "warning",
            f"fewer than {FEW_IMAGES} validation images",
            "intervals will be wide; validate on more images if you can",
            images,
            (),
        )


def _shared_groups(manifest: dict[str, Any], frames: pd.DataFrame) -> Iterator[Finding]:
    sides = frames[frames["group"] != ""].groupby("group")["split"].nunique()
    shared = sorted(sides[sides > 1].index)
    if shared:
        yield Finding(
            "warning",
            "drives or sequences on both sides of the split",
            "frames of one drive look alike, so scores come out too high; split by drive. If "
            "the same name means different drives on the two sides, this can be ignored",
            len(shared),
            tuple(shared[:SHOWN]),
        )


def _duplicates(manifest: dict[str, Any], frames: pd.DataFrame) -> Iterator[Finding]:
    hashes = frames.groupby("image_sha256")["split"].nunique()
    twice = frames[frames["image_sha256"].isin(hashes[hashes > 1].index)]
    if len(twice):
        pairs = twice.groupby("image_sha256")["name"].apply(" = ".join)
        yield Finding(
            "warning",
            "identical images on both sides of the split",
            "remove them from one side; a model that saw them scores too high",
            len(pairs),
            tuple(pairs.head(SHOWN)),
        )


Check = Callable[[dict[str, Any], pd.DataFrame], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    _absent_classes, _binary_masks, _rare_classes, _few_images, _shared_groups, _duplicates,
)  # fmt: skip
