"""Read one prediction that another tool made, of whatever form, as a map of class ids.

Imports neither torch nor mmseg.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from segbench.datasets.colors import UNCLAIMED, ColorTable
from segbench.datasets.images import open_image, reason_of

SUFFIXES = frozenset({".png", ".bmp", ".tif", ".tiff", ".npy"})
INDEX_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
ROUNDING = 0.02  # of the ratio of width and height, when a tool rounds sizes
SHOWN_VALUES = 5

ClassIds = npt.NDArray[np.uint8]


class UnusablePredictionError(Exception):
    """What is wrong with one file: a kind of problem, and what is special about this file."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


@dataclass(frozen=True)
class Form:
    """What the files may hold.

    Attributes:
        classes: how many there are; ids are 0 to one less.
        colors: of the classes, by id.
        no_class: value of pixels for which no class was predicted, if any.
        max_pixels: more than that are refused before they are decoded.
    """

    classes: int
    colors: tuple[tuple[int, int, int], ...]
    no_class: int | None
    max_pixels: int

    @cached_property
    def color_table(self) -> ColorTable:
        """Class ids by colour."""
        return ColorTable({color: i for i, color in enumerate(self.colors)}, tolerance=0)

    @property
    def id_of_value(self) -> Mapping[int, int]:
        """Class id by value of a file; what is no class comes after the last one."""
        more = {} if self.no_class is None else {self.no_class: self.classes}
        return {**{i: i for i in range(self.classes)}, **more}


def read_prediction(path: Path, form: Form, height: int, width: int) -> ClassIds:
    """Read a prediction at the size of its label.

    A map of ids is brought to that size by the nearest pixel; scores, [classes, height, width], are
    interpolated, and the class with the highest one is taken.

    Args:
        path: of the file.
        form: what it may hold.
        height: of the label.
        width: of the label.

    Raises:
        UnusablePredictionError: what is wrong with it.
    """
    if path.suffix.lower() == ".npy":
        values = _array(path)
        if values.ndim == 3:
            return _from_scores(values, form, height, width)
    else:
        values = _decoded(path, form)
    ids = _claimed(values, form)
    _refuse_size(ids, height, width)
    if ids.shape != (height, width):
        ids = np.asarray(
            cv2.resize(ids, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), np.uint8
        )
    return ids


def _array(path: Path) -> npt.NDArray[np.generic]:
    try:
        values = np.load(path, allow_pickle=False, mmap_mode="r")
    except (ValueError, EOFError, OSError) as error:
        raise UnusablePredictionError("cannot be read", str(error)) from None
    if values.ndim not in (2, 3) or values.dtype.kind not in "uif":
        raise UnusablePredictionError(
            "is neither a map of ids [height, width] nor of scores [classes, height, width]",
            f"{values.dtype} {list(values.shape)}",
        )
    return values  # type: ignore[no-any-return]


def _from_scores(values: npt.NDArray[np.generic], form: Form, height: int, width: int) -> ClassIds:
    if values.shape[0] != form.classes:
        raise UnusablePredictionError(
            f"does not have scores of {form.classes} classes, [classes, height, width]",
            f"{list(values.shape)}",
        )
    _refuse_size(values, height, width)
    scores = np.asarray(values, np.float32)
    if not np.isfinite(scores).all():
        raise UnusablePredictionError("has scores that are not finite")
    if scores.shape[1:] != (height, width):
        layers = [
            cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in scores
        ]
        scores = np.stack(layers)
    return np.asarray(scores.argmax(0), np.uint8)


def _decoded(path: Path, form: Form) -> npt.NDArray[np.generic]:
    """The values of an image; of one in colours, the ids of the classes."""
    try:
        image = open_image(path.read_bytes())
        if image.width * image.height > form.max_pixels:
            raise UnusablePredictionError("has too many pixels", f"{image.width}x{image.height}")
        if image.mode in INDEX_MODES:
            return np.asarray(image)
        return _from_colors(image.convert("RGB"), form)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnusablePredictionError("cannot be read", reason_of(error)) from None


def _from_colors(image: Image.Image, form: Form) -> ClassIds:
    pixels = np.asarray(image).astype(np.int32)
    codes = pixels[..., 0] | pixels[..., 1] << 8 | pixels[..., 2] << 16
    ids, _ = form.color_table.ids_of(codes)
    unclaimed = ids == UNCLAIMED
    if unclaimed.any():
        first = pixels[unclaimed][0].tolist()
        raise UnusablePredictionError("has colours of no class", f"{first} and others")
    return ids


def _claimed(values: npt.NDArray[np.generic], form: Form) -> ClassIds:
    known = form.id_of_value
    found = np.unique(values)
    if strange := [value for value in found.tolist() if value not in known]:
        raise UnusablePredictionError(
            f"has values that are no class (classes are 0 to {form.classes - 1})",
            ", ".join(f"{value:g}" for value in strange[:SHOWN_VALUES]),
        )
    table = np.array([known[int(value)] for value in found.tolist()], np.uint8)
    return table[np.searchsorted(found, values)]


def _refuse_size(values: npt.NDArray[np.generic], label_height: int, label_width: int) -> None:
    height, width = values.shape[-2:]
    ratio = (width * label_height) / max(1, height * label_width)
    if min(height, width) < 1 or abs(ratio - 1) > ROUNDING:
        raise UnusablePredictionError(
            "has another shape than its label",
            f"{width}x{height}, and the label {label_width}x{label_height}",
        )
