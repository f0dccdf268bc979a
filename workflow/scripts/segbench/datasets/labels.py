"""Read one label, of whatever form, as a map of class ids.

Each form is one function `(bytes) -> uint8 array [height, width]` with 255 as the ignore index.
Add a form here and its name in `description.Labels.format`.
"""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, UnidentifiedImageError

from segbench.datasets.description import IGNORE_INDEX, ClassList
from segbench.errors import DataError

LabelMap = npt.NDArray[np.uint8]
MAX_SIDE = 32768
MAX_PIXELS = 178_956_970  # as Pillow: what a decoded image may have at the most


class LabelReader:
    """Turns the labels of one dataset into maps of its class ids.

    Args:
        label_format: `index` or `polygons`.
        classes: the classes that a model learns.
    """

    def __init__(self, label_format: str, classes: ClassList) -> None:
        self._read = self._index if label_format == "index" else self._polygons
        self._id_of_label = classes.id_of_label()
        self._id_of_value = classes.id_of_value()
        # -1 marks values that no class and no void value claims
        self._table = np.full(256, -1, dtype=np.int16)
        for value, class_id in self._id_of_value.items():
            self._table[value] = class_id

    def read(self, data: bytes) -> LabelMap:
        """Read a label file.

        Args:
            data: the content of the file.

        Returns:
            Class ids, uint8 [height, width], 255 where nothing is learnt or scored.

        Raises:
            DataError: what is wrong with the label, without the file's name.
        """
        return self._read(data)

    def _index(self, data: bytes) -> LabelMap:
        values = _decode_index(data)
        ids: npt.NDArray[np.int16] = self._table[values]
        if (ids < 0).any():
            found = ", ".join(str(value) for value in np.unique(values[ids < 0])[:8])
            raise DataError(f"has values that belong to no class: {found}")
        return ids.astype(np.uint8)

    def _polygons(self, data: bytes) -> LabelMap:
        return paint_polygons(_decode_json(data), self._id_of_label)


def paint_polygons(annotation: Mapping[str, Any], id_of_label: Mapping[str, int]) -> LabelMap:
    """Paint polygons as the public IDD (AutoNUE) tool does, pixel for pixel.

    Objects are painted in the order of the list, later over earlier, on void. An object is left
    out if it is deleted or has fewer than three points; an unknown label ending in "group" loses
    that suffix; coordinates are truncated to whole pixels.

    Args:
        annotation: `imgWidth`, `imgHeight` and `objects`, each with `label` and `polygon`.
        id_of_label: class id of every known label, 255 for void ones.

    Returns:
        Class ids, uint8 [imgHeight, imgWidth].

    Raises:
        DataError: a field is missing or of another shape, or a label is unknown.
    """
    width, height = _side(annotation, "imgWidth"), _side(annotation, "imgHeight")
    if width * height > MAX_PIXELS:
        raise DataError(f"announces {width}x{height} pixels, more than the limit of {MAX_PIXELS}")
    image = Image.new("L", (width, height), IGNORE_INDEX)
    draw = ImageDraw.Draw(image)
    objects = annotation.get("objects")
    if not isinstance(objects, list):
        raise DataError("field `objects` is not a list")
    for position, item in enumerate(objects):
        if not isinstance(item, dict):
            raise DataError(f"field `objects[{position}]` is not a mapping")
        points = _points(item.get("polygon"), position)
        if item.get("deleted") or len(points) < 3:
            continue
        draw.polygon(points, fill=_class_id(item.get("label"), id_of_label, position))
    return np.asarray(image)


def _class_id(label: Any, id_of_label: Mapping[str, int], position: int) -> int:
    if not isinstance(label, str):
        raise DataError(f"field `objects[{position}].label` is not a text")
    if label not in id_of_label and label.endswith("group"):
        label = label.removesuffix("group")
    if label not in id_of_label:
        raise DataError(f"has the label '{label}', which belongs to no class and is not ignored")
    return id_of_label[label]


def _points(polygon: Any, position: int) -> list[tuple[int, int]]:
    try:
        return [(int(x), int(y)) for x, y in polygon]
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"field `objects[{position}].polygon` is not a list of [x, y]") from None


def _side(annotation: Mapping[str, Any], field: str) -> int:
    value = annotation.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_SIDE:
        raise DataError(f"field `{field}` is not a size in pixels: {value!r}")
    return value


def _decode_json(data: bytes) -> Mapping[str, Any]:
    try:
        annotation = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON ({error})") from None
    if not isinstance(annotation, dict):
        raise DataError("is not a JSON mapping with `imgHeight`, `imgWidth` and `objects`")
    return annotation


def _decode_index(data: bytes) -> LabelMap:
    try:
        with Image.open(BytesIO(data)) as image:
            if image.mode not in ("L", "P", "1"):
                raise DataError(
                    f"is a {image.mode} image where a map of class values was promised "
                    "(one channel, 8 bit)"
                )
            return np.asarray(image.convert("L") if image.mode == "1" else image, dtype=np.uint8)
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot be decoded ({error})") from None
