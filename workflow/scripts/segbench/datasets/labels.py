"""Read one label, of whatever form, as a map of class ids.

A form of label is one method of `LabelReader` and one word in `description.Labels.format`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from segbench.datasets.annotation import decode_json
from segbench.datasets.class_list import IGNORE_INDEX
from segbench.datasets.coco import paint_instances, read_instances
from segbench.datasets.colors import UNCLAIMED, ColorTable
from segbench.datasets.description import DatasetDescription
from segbench.datasets.findings import ALL_PIXELS, CHANGED, Fault, UnusableError
from segbench.datasets.images import open_image, refuse_foreign, refuse_huge
from segbench.datasets.polygons import LabelMap, paint_labelme, paint_polygons
from segbench.datasets.runs import runs_of

SHOWN_VALUES = 8
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I")  # Pillow's names for 16 and 32 bits per pixel
COLOR_MODES = ("RGB", "RGBA", "P")
MANY_COLORS = 256  # a photograph taken for a label has too many to add up
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Label:
    """A label that was read.

    Attributes:
        ids: class ids, uint8 [height, width], 255 where nothing is learnt or scored.
        pixels: how many pixels each class has, and as the last one void, int64 [classes + 1].
        sha256: digest of the ids.
        doubt: what is odd about its palette, or empty.
        changed: how many pixels were taken for the nearest colour of a class.
    """

    ids: LabelMap
    pixels: Counts
    sha256: str
    doubt: str = ""
    changed: int = 0

    def change_told(self, path: Path) -> tuple[Fault, ...]:
        """A warning of the pixels that were changed, if any."""
        if not self.changed:
            return ()
        share = f"{100 * self.changed / self.ids.size:.2f} % of the pixels changed"
        amounts = ((CHANGED, self.changed), (ALL_PIXELS, self.ids.size))
        return (Fault("nearest-color", f"{path}: {share}", amounts),)


class LabelReader:
    """Turns the labels of one dataset into maps of its class ids.

    Args:
        description: names the form of the labels and the classes.
    """

    def __init__(self, description: DatasetDescription) -> None:
        self._classes = description.classes
        self._format = description.labels.format
        self._background = description.background_id
        self._max_pixels = description.max_image_pixels
        self._id_of_label = self._classes.id_of_label()
        self._tolerance = description.labels.tolerance
        self._colors: ColorTable | None = None
        # -1 marks values that no class and no void value claims
        self._table = np.full(256, -1, dtype=np.int16)
        for value, class_id in self._classes.id_of_value().items():
            self._table[value] = class_id

    @property
    def is_shared(self) -> bool:
        """Whether one label file holds the labels of many images; see `read_shared`."""
        return self._format == "coco"

    def read_shared(self, path: Path, image: str) -> Label:
        """Read the label of one image from a file that holds many, and count its classes.

        Args:
            path: the label file.
            image: path of the image below the root.

        Raises:
            UnusableError: what is wrong with the label, without the file's name.
        """
        found = read_instances(path)
        return self._counted(
            paint_instances(found, image, self._id_of_label, self._background, self._max_pixels)
        )

    def read(self, data: bytes) -> LabelMap:
        """Read a label file as class ids; see `read_counted`."""
        return self.read_counted(data).ids

    def read_counted(self, data: bytes) -> Label:
        """Read a label file and count its classes.

        Args:
            data: the content of the file.

        Raises:
            UnusableError: what is wrong with the label, without the file's name.
        """
        if self._format == "index":
            return self._index(data)
        if self._format == "rgb":
            return self._rgb(data)
        paint = paint_polygons if self._format == "polygons" else paint_labelme
        annotation = decode_json(data)
        return self._counted(
            paint(annotation, self._id_of_label, self._background, self._max_pixels)
        )

    def _counted(self, ids: LabelMap, changed: int = 0) -> Label:
        runs = runs_of(ids)
        pixels = self._by_class(runs.counts(), np.arange(256))
        return Label(ids, pixels, runs.sha256(ids.shape[1]), changed=changed)

    def _by_class(self, counts: Counts, ids: npt.NDArray[np.integer]) -> Counts:
        """Pixels by class and void, from counts by value and the class ids of the values."""
        pixels = np.zeros(IGNORE_INDEX + 1, np.int64)
        present = counts > 0
        np.add.at(pixels, ids[present], counts[present])
        return np.append(pixels[: len(self._classes.classes)], pixels[IGNORE_INDEX])

    def _index(self, data: bytes) -> Label:
        values, palette = self._decode_index(data)
        runs = runs_of(values)
        counts = runs.counts()
        present = np.flatnonzero(counts)
        ids = self._table[present]
        if (ids < 0).any():
            unknown = present[ids < 0].tolist()
            found = ", ".join(map(str, unknown[:SHOWN_VALUES]))
            more = ", ..." if len(unknown) > SHOWN_VALUES else ""
            hint = self._hint(unknown, bool(counts[0]), palette is not None)
            raise UnusableError(
                "unknown-value",
                f"has values that belong to no class: {found}{more}{hint}; "
                f"{counts[unknown].sum()} of {values.size} pixels",
                {str(value): int(counts[value]) for value in unknown},
            )
        same = (ids == present).all()
        read = values if same else self._table.astype(np.uint8)[values]
        digest = (runs if same else runs_of(read)).sha256(read.shape[1])
        doubt = self._palette_doubt(palette, present) if palette else ""
        return Label(read, self._by_class(counts, self._table), digest, doubt)

    def _hint(self, unknown: list[int], has_zero: bool, has_palette: bool) -> str:
        """The usual reasons for values that no class claims."""
        after_last = len(self._classes.classes)
        if unknown == [after_last] and has_zero:
            return f" (is {after_last} void here? then put it into `ignore_values`)"
        if unknown == [after_last]:
            return " (do the classes start at 1 here? then give each class its `values`)"
        if unknown == [255]:
            return " (a 0/255 mask? then give the classes `values: [0]` and `values: [255]`)"
        if has_palette:
            return (
                " (a palette PNG, of which the indices are read; if its colours are what counts, "
                "set `labels.format: rgb`)"
            )
        return ""

    def _palette_doubt(self, palette: list[int], present: npt.NDArray[np.integer]) -> str:
        """An index whose colour in the palette is that of another class, if there is one."""
        by_color = {found.color: i for i, found in enumerate(self._classes.classes)}
        for value in present.tolist():
            red, green, blue = palette[3 * value : 3 * value + 3] or (-1, -1, -1)
            wanted, named = int(self._table[value]), by_color.get((red, green, blue))
            if named is not None and named != wanted and wanted != IGNORE_INDEX:
                classes = self._classes.classes
                return (
                    f"index {value} is read as '{classes[wanted].name}' but has the colour of "
                    f"'{classes[named].name}'"
                )
        return ""

    def _rgb(self, data: bytes) -> Label:
        image = _decode(data, self._max_pixels)
        if image.mode not in COLOR_MODES:
            raise UnusableError(
                "not-colors",
                f"is a {image.mode} image where colours were promised; for values that stand for "
                "classes, set `labels.format: index`",
            )
        rgb = image.convert("RGB")
        packed = np.frombuffer(rgb.tobytes("raw", "RGBX"), "<u4").reshape(rgb.height, rgb.width)
        codes = packed & 0xFFFFFF  # red in the lowest byte
        if self._colors is None:
            self._colors = ColorTable(self._classes.id_of_color(), self._tolerance)
        ids, changed = self._colors.ids_of(codes)
        if (ids == UNCLAIMED).any():
            raise self._unknown_colors(codes[ids == UNCLAIMED], ids.size)
        return self._counted(ids, changed)

    def _unknown_colors(self, codes: npt.NDArray[np.integer], pixels: int) -> UnusableError:
        """The refusal of colours that no class claims, of a label with so many pixels."""
        unknown, counts = np.unique(codes, return_counts=True)
        most = np.argsort(-counts, kind="stable")[:MANY_COLORS]
        found = {
            f"[{c & 255}, {c >> 8 & 255}, {c >> 16}]": n
            for c, n in zip(unknown[most].tolist(), counts[most].tolist(), strict=True)
        }
        shown = list(found)[:SHOWN_VALUES]
        more = f" and {len(unknown) - len(shown)} more" if len(unknown) > len(shown) else ""
        reach = f" (within {self._tolerance:g}, or to two equally)" if self._tolerance else ""
        return UnusableError(
            "unknown-color",
            f"has colours that belong to no class{reach}: {', '.join(shown)}{more}; "
            f"{counts.sum()} of {pixels} pixels",
            found,
        )

    def _decode_index(self, data: bytes) -> tuple[LabelMap, list[int] | None]:
        """The values, and the palette where there is one."""
        image = _decode(data, self._max_pixels)
        if image.mode in DEEP_MODES:
            return _narrowed(np.asarray(image)), None
        if image.mode not in ("L", "P", "1"):
            has_colors = image.mode in COLOR_MODES
            raise UnusableError(
                "not-an-index",
                f"is a {image.mode} image where a map of class values was promised (one channel "
                "of whole numbers)"
                + ("; for colours that stand for classes, set `labels.format: rgb`" * has_colors),
            )
        values = np.asarray(image.convert("L") if image.mode == "1" else image, dtype=np.uint8)
        return values, image.getpalette("RGB") if image.mode == "P" else None


def _narrowed(values: npt.NDArray[np.integer]) -> LabelMap:
    """Values of 16 or 32 bits as 8 bits, where they fit."""
    largest = int(values.max())
    if largest > 255 or values.min() < 0:
        raise UnusableError(
            "wide-values",
            f"has values up to {largest}, and class values go up to 255; "
            f"{np.count_nonzero(values > 255)} of {values.size} pixels are beyond",
        )
    return values.astype(np.uint8)


def _decode(data: bytes, max_pixels: int) -> Image.Image:
    refuse_foreign("foreign-label", data)
    try:
        with open_image(data) as image:
            refuse_huge("huge-label", *image.size, max_pixels)
            image.load()
            return image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "no image" if isinstance(error, UnidentifiedImageError) else error
        raise UnusableError("unreadable-label", f"cannot be decoded ({reason})") from None
