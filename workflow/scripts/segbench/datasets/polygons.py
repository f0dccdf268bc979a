"""Paint annotations made of outlines: the JSON of IDD and Cityscapes, and of labelme.

Pillow paints, because the public tools of these datasets do, and other painters differ from it
along every edge.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from segbench.datasets.description import NOT_PAINTED
from segbench.errors import DataError

LabelMap = npt.NDArray[np.uint8]
MAX_SIDE = 32768
MAX_PIXELS = 178_956_970  # as Pillow: what a decoded image may have at the most


def paint_polygons(
    annotation: Mapping[str, Any], id_of_label: Mapping[str, int], background: int
) -> LabelMap:
    """Paint polygons as the public IDD (AutoNUE) and Cityscapes tools do, pixel for pixel.

    Objects are painted in the order of the list, later over earlier. An object is left out if it
    is deleted or has fewer than three points; an unknown label ending in "group" loses that
    suffix; coordinates are truncated to whole pixels.

    Args:
        annotation: `imgWidth`, `imgHeight` and `objects`, each with `label` and `polygon`.
        id_of_label: class id of every known label, 255 for void ones, -1 for those left out.
        background: id of what no object covers.

    Returns:
        Class ids, uint8 [imgHeight, imgWidth].

    Raises:
        DataError: a field is missing or of another shape, or a label is unknown.
    """
    image = _canvas(annotation, "imgWidth", "imgHeight", background)
    draw = ImageDraw.Draw(image)
    for place, item in _items(annotation, "objects"):
        points = [(int(x), int(y)) for x, y in _points(item.get("polygon"), f"{place}.polygon")]
        if item.get("deleted") or len(points) < 3:
            continue
        class_id = _class_id(item.get("label"), id_of_label, place)
        if class_id != NOT_PAINTED:
            draw.polygon(points, fill=class_id)
    return np.asarray(image)


def paint_labelme(
    annotation: Mapping[str, Any], id_of_label: Mapping[str, int], background: int
) -> LabelMap:
    """Paint shapes as labelme does: polygons, rectangles and circles, later over earlier.

    Args:
        annotation: `imageWidth`, `imageHeight` and `shapes`, each with `label`, `points` and
            `shape_type`.
        id_of_label: class id of every known label, 255 for void ones, -1 for those left out.
        background: id of what no shape covers.

    Returns:
        Class ids, uint8 [imageHeight, imageWidth].

    Raises:
        DataError: a field is missing or of another shape, or a label is unknown.
    """
    image = _canvas(annotation, "imageWidth", "imageHeight", background)
    draw = ImageDraw.Draw(image)
    for place, item in _items(annotation, "shapes"):
        points = _points(item.get("points"), f"{place}.points")
        class_id = _class_id(item.get("label"), id_of_label, place)
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
            raise DataError(
                f"field `{place}` is a {kind} of {len(points)} points; areas are needed: a polygon "
                "of three or more, a rectangle or a circle of two"
            )
    return np.asarray(image)


def _canvas(annotation: Mapping[str, Any], width: str, height: str, fill: int) -> Image.Image:
    size = _side(annotation, width), _side(annotation, height)
    if size[0] * size[1] > MAX_PIXELS:
        raise DataError(f"announces {size[0]}x{size[1]} pixels, beyond the limit of {MAX_PIXELS}")
    return Image.new("L", size, fill)


def _side(annotation: Mapping[str, Any], field: str) -> int:
    value = annotation.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_SIDE:
        raise DataError(f"field `{field}` is not a size in pixels: {value!r}")
    return value


def _items(annotation: Mapping[str, Any], field: str) -> list[tuple[str, dict[str, Any]]]:
    """The objects of an annotation, each with its place for a message."""
    objects = annotation.get(field)
    if not isinstance(objects, list):
        raise DataError(f"field `{field}` is not a list")
    for position, item in enumerate(objects):
        if not isinstance(item, dict):
            raise DataError(f"field `{field}[{position}]` is not a mapping")
    return [(f"{field}[{position}]", item) for position, item in enumerate(objects)]


def _points(points: Any, place: str) -> list[tuple[float, float]]:
    try:
        pairs = [(float(x), float(y)) for x, y in points]
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"field `{place}` is not a list of [x, y]") from None
    if not all(math.isfinite(x) and math.isfinite(y) for x, y in pairs):
        raise DataError(f"field `{place}` has a coordinate that is not finite")
    return pairs


def _class_id(label: Any, id_of_label: Mapping[str, int], place: str) -> int:
    if not isinstance(label, str):
        raise DataError(f"field `{place}.label` is not a text")
    if label not in id_of_label and label.endswith("group"):
        label = label.removesuffix("group")
    if label not in id_of_label:
        raise DataError(f"has the label '{label}', which belongs to no class and is not ignored")
    return id_of_label[label]
