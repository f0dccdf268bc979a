"""Paint annotations made of outlines: the JSON of IDD and Cityscapes, and of labelme.

Pillow paints, because the public tools of these datasets do, and other painters differ from it
along every edge.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from segbench.datasets.annotation import items_of, side_of
from segbench.datasets.class_list import NOT_PAINTED
from segbench.datasets.description import MAX_IMAGE_PIXELS
from segbench.datasets.findings import UnusableError
from segbench.datasets.images import refuse_huge

LabelMap = npt.NDArray[np.uint8]
# Pillow paints nothing, without a word, where a coordinate no longer fits into its integers
FARTHEST = 100_000_000
EXACT_IN_FLOAT32 = 2**24  # whole numbers up to here are the same in float32


def paint_polygons(
    annotation: Mapping[str, object],
    id_of_label: Mapping[str, int],
    background: int,
    max_pixels: int = MAX_IMAGE_PIXELS,
) -> LabelMap:
    """Paint polygons as the public IDD (AutoNUE) and Cityscapes tools do, pixel for pixel.

    Objects are painted in the order of the list, later over earlier. An object is left out if it
    is deleted or has fewer than three points; an unknown label ending in "group" loses that
    suffix; coordinates are truncated to whole pixels.

    Args:
        annotation: `imgWidth`, `imgHeight` and `objects`, each with `label` and `polygon`.
        id_of_label: class id of every known label, 255 for void ones, -1 for those left out.
        background: id of what no object covers.
        max_pixels: a larger image is refused.

    Returns:
        Class ids, uint8 [imgHeight, imgWidth].

    Raises:
        UnusableError: a field is missing or of another shape, or a label is unknown.
    """
    ids, draw = _canvas(annotation, "imgWidth", "imgHeight", background, max_pixels)
    items = items_of(annotation, "objects")
    outlines = _truncated([item.get("polygon") for item in items])
    unknown = UnknownLabels()
    for position, (item, points) in enumerate(zip(items, outlines, strict=True)):
        if item.get("deleted") or len(points) < 6:
            continue
        class_id = _class_id(item.get("label"), id_of_label, f"objects[{position}]", unknown)
        if class_id != NOT_PAINTED:
            draw.polygon(points, fill=class_id)
    unknown.refuse()
    return ids


def paint_labelme(
    annotation: Mapping[str, object],
    id_of_label: Mapping[str, int],
    background: int,
    max_pixels: int = MAX_IMAGE_PIXELS,
) -> LabelMap:
    """Paint shapes as labelme does: polygons, rectangles and circles, later over earlier.

    Args:
        annotation: `imageWidth`, `imageHeight` and `shapes`, each with `label`, `points` and
            `shape_type`.
        id_of_label: class id of every known label, 255 for void ones, -1 for those left out.
        background: id of what no shape covers.
        max_pixels: a larger image is refused.

    Returns:
        Class ids, uint8 [imageHeight, imageWidth].

    Raises:
        UnusableError: a field is missing or of another shape, or a label is unknown.
    """
    ids, draw = _canvas(annotation, "imageWidth", "imageHeight", background, max_pixels)
    unknown = UnknownLabels()
    for position, item in enumerate(items_of(annotation, "shapes")):
        place = f"shapes[{position}]"
        points = _points(item.get("points"), f"{place}.points")
        class_id = _class_id(item.get("label"), id_of_label, place, unknown)
        kind = item.get("shape_type") or "polygon"
        if class_id == NOT_PAINTED:
            continue
        if kind == "polygon" and len(points) >= 3:
            draw.polygon(points, outline=class_id, fill=class_id)
        elif kind == "rectangle" and len(points) == 2:
            (x0, y0), (x1, y1) = points
            corners = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
            draw.rectangle(corners, outline=class_id, fill=class_id)
        elif kind == "circle" and len(points) == 2:
            (x, y), edge = points
            radius = math.dist((x, y), edge)
            bounds = (x - radius, y - radius, x + radius, y + radius)
            draw.ellipse(bounds, outline=class_id, fill=class_id)
        else:
            raise UnusableError(
                "label-shape",
                f"field `{place}` is a {kind} of {len(points)} points; areas are needed: a polygon "
                "of three or more, a rectangle or a circle of two",
            )
    unknown.refuse()
    return ids


class UnknownLabels:
    """The labels of one annotation that belong to no class; all are wanted, not only the first."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.first_place = ""

    def add(self, label: str, place: str) -> None:
        """Note a label and the field it was found in."""
        self.first_place = self.first_place or place
        self.counts[label] += 1

    def refuse(self) -> None:
        """Refuse the annotation if there are any."""
        if not self.counts:
            return
        label, *others = self.counts
        more = f", and {len(others)} more such labels" if others else ""
        raise UnusableError(
            "unknown-polygon",
            f"has the label '{label}', which belongs to no class and is not ignored "
            f"(`{self.first_place}`){more}",
            {f"'{name}'": count for name, count in self.counts.items()},
        )


def _truncated(outlines: Sequence[Any]) -> list[Any]:
    """The corners of all outlines in whole pixels, each as x0, y0, x1, y1, ...

    All at once in arrays, which Pillow takes as they are; one by one where that is not exact or
    an outline has another shape.
    """
    try:
        regular = set(map(len, chain.from_iterable(outlines))) <= {2}
        values = np.fromiter(chain.from_iterable(chain.from_iterable(outlines)), np.float64)
    except (TypeError, ValueError, OverflowError):
        regular = False
    if not regular or not (np.abs(values) < EXACT_IN_FLOAT32).all():
        pairs = (_points(one, f"objects[{i}].polygon") for i, one in enumerate(outlines))
        return [[int(value) for pair in one for value in pair] for one in pairs]
    whole = np.trunc(values).astype(np.float32)
    ends = [0, *accumulate(2 * len(outline) for outline in outlines)]
    return [whole[start:end] for start, end in pairwise(ends)]


def _canvas(
    annotation: Mapping[str, object], width: str, height: str, fill: int, max_pixels: int
) -> tuple[LabelMap, ImageDraw.ImageDraw]:
    """An array, and what paints in it: copies of large images cost as much as the painting."""
    size = side_of(annotation, width), side_of(annotation, height)
    refuse_huge("huge-label", *size, max_pixels)
    ids: LabelMap = np.full((size[1], size[0]), fill, np.uint8)
    image = Image.frombuffer("L", size, ids, "raw", "L", 0, 1)
    image.readonly = 0  # else painting would begin with a copy
    return ids, ImageDraw.Draw(image)


def _points(points: Any, place: str) -> list[tuple[float, float]]:
    try:
        pairs = [(float(x), float(y)) for x, y in points]
    except (TypeError, ValueError, OverflowError):
        raise UnusableError("label-shape", f"field `{place}` is not a list of [x, y]") from None
    if not all(math.isfinite(x) and math.isfinite(y) for x, y in pairs):
        raise UnusableError("label-shape", f"field `{place}` has a coordinate that is not finite")
    if any(abs(value) > FARTHEST for pair in pairs for value in pair):
        raise UnusableError(
            "label-shape", f"field `{place}` has a coordinate beyond {FARTHEST} pixels"
        )
    return pairs


def _class_id(
    label: object, id_of_label: Mapping[str, int], place: str, unknown: UnknownLabels
) -> int:
    if not isinstance(label, str):
        raise UnusableError("label-shape", f"field `{place}.label` is not a text")
    if label not in id_of_label and label.endswith("group"):
        label = label.removesuffix("group")
    if label in id_of_label:
        return id_of_label[label]
    unknown.add(label, f"{place}.label")
    return NOT_PAINTED
