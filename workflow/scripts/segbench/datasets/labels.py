"""Read one label, of whatever form, as a map of class ids.

A form of label is one method of `LabelReader` and one word in `description.Labels.format`.
"""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from segbench.datasets.description import DatasetDescription
from segbench.datasets.polygons import LabelMap, paint_labelme, paint_polygons
from segbench.errors import DataError

UNCLAIMED = 254  # in the table of colours: neither a class nor void; class ids end at 253


class LabelReader:
    """Turns the labels of one dataset into maps of its class ids.

    Args:
        description: names the form of the labels and the classes.
    """

    def __init__(self, description: DatasetDescription) -> None:
        self._classes = description.classes
        self._format = description.labels.format
        self._background = description.background_id
        self._id_of_label = self._classes.id_of_label()
        self._colors: npt.NDArray[np.uint8] | None = None
        # -1 marks values that no class and no void value claims
        self._table = np.full(256, -1, dtype=np.int16)
        for value, class_id in self._classes.id_of_value().items():
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
        if self._format == "index":
            return self._index(data)
        if self._format == "rgb":
            return self._rgb(data)
        paint = paint_polygons if self._format == "polygons" else paint_labelme
        return paint(_decode_json(data), self._id_of_label, self._background)

    def _index(self, data: bytes) -> LabelMap:
        values = _decode_index(data)
        ids: npt.NDArray[np.int16] = self._table[values]
        if (ids < 0).any():
            unknown = np.unique(values[ids < 0]).tolist()
            found = ", ".join(map(str, unknown[:8]))
            raise DataError(f"has values that belong to no class: {found}{self._hint(unknown)}")
        return ids.astype(np.uint8)

    def _hint(self, unknown: list[int]) -> str:
        """The usual reasons for values that no class claims."""
        if unknown == [len(self._classes.classes)]:
            return " (do the classes start at 1 here? then give each class its `values`)"
        if unknown == [255]:
            return " (a 0/255 mask? then give the classes `values: [0]` and `values: [255]`)"
        return ""

    def _rgb(self, data: bytes) -> LabelMap:
        pixels = _decode_rgb(data).astype(np.uint32)
        codes = (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]
        ids: LabelMap = self._color_table()[codes]
        if (ids == UNCLAIMED).any():
            found = [f"[{c >> 16}, {c >> 8 & 255}, {c & 255}]" for c in
                     np.unique(codes[ids == UNCLAIMED])[:5].tolist()]  # fmt: skip
            raise DataError(f"has colours that belong to no class: {', '.join(found)}")
        return ids

    def _color_table(self) -> npt.NDArray[np.uint8]:
        """Class id by 24-bit colour, made at the first use in each process."""
        if self._colors is None:
            self._colors = np.full(1 << 24, UNCLAIMED, np.uint8)
            for (red, green, blue), class_id in self._classes.id_of_color().items():
                self._colors[(red << 16) | (green << 8) | blue] = class_id
        return self._colors


def _decode_json(data: bytes) -> Mapping[str, Any]:
    try:
        annotation = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON ({error})") from None
    if not isinstance(annotation, dict):
        raise DataError("is not a JSON mapping with the size of the image and its objects")
    return annotation


def _decode_index(data: bytes) -> LabelMap:
    image = _decode(data)
    if image.mode not in ("L", "P", "1"):
        raise DataError(
            f"is a {image.mode} image where a map of class values was promised (one channel, "
            "8 bit); for colours that stand for classes, set `labels.format: rgb`"
        )
    return np.asarray(image.convert("L") if image.mode == "1" else image, dtype=np.uint8)


def _decode_rgb(data: bytes) -> npt.NDArray[np.uint8]:
    image = _decode(data)
    if image.mode not in ("RGB", "RGBA", "P"):
        raise DataError(
            f"is a {image.mode} image where colours were promised; for values that stand for "
            "classes, set `labels.format: index`"
        )
    return np.asarray(image.convert("RGB"), dtype=np.uint8)


def _decode(data: bytes) -> Image.Image:
    try:
        with Image.open(BytesIO(data)) as image:
            image.load()
            return image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "no image" if isinstance(error, UnidentifiedImageError) else error
        raise DataError(f"cannot be decoded ({reason})") from None
