"""Paint COCO instance annotations: one JSON for all images of a split, with polygons and RLE.

Knows the file format (https://cocodataset.org/#format-data) and one image at a time. Masks are
decoded here, not by pycocotools, because a file of others must not reach C code unchecked.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from segbench.datasets.annotation import JsonObject, decode_json, items_of, side_of
from segbench.datasets.class_list import NOT_PAINTED
from segbench.datasets.findings import UnusableError
from segbench.datasets.images import refuse_huge
from segbench.datasets.polygons import FARTHEST, LabelMap, UnknownLabels

FILES_KEPT = 2  # a process may stand at the border of two splits
EDGES_AT_ONCE = 1024  # each may cross all rows of an image
LONGEST_NUMBER = 12  # characters of a compressed count; 60 bits

Mask = npt.NDArray[np.bool_]
Item = JsonObject


@dataclass(frozen=True, slots=True)
class Instances:
    """What one annotation file says.

    Attributes:
        images: the entries of `images`, by the last part of their `file_name`.
        annotations: the entries of `annotations` with their positions in the file, by image id.
        categories: names by category id.
    """

    images: dict[str, list[Item]]
    annotations: dict[int | str, list[tuple[int, Item]]]
    categories: dict[int | str, str]


class Area(NamedTuple):
    """A mask at its place in the image."""

    top: int
    left: int
    mask: Mask


def read_instances(path: Path) -> Instances:
    """Read an annotation file: once per process as long as it stays as it is.

    Raises:
        UnusableError: it cannot be read or is of another form.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise UnusableError("unreadable-label", error.strerror or str(error)) from None
    found = _read(path, (status.st_size, status.st_mtime_ns, status.st_ino))
    if isinstance(found, UnusableError):
        raise UnusableError(found.code, str(found))
    return found


@lru_cache(maxsize=FILES_KEPT)
def _read(path: Path, stamp: tuple[int, ...]) -> Instances | UnusableError:
    """The file, or what is wrong with it: that must not be found out again for each image."""
    try:
        return indexed(decode_json(path.read_bytes()))
    except OSError as error:
        return UnusableError("unreadable-label", error.strerror or str(error))
    except UnusableError as error:
        return error


def indexed(content: Mapping[str, object]) -> Instances:
    """The content of an annotation file, ordered by image.

    Raises:
        UnusableError: a field is missing or of another shape.
    """
    categories: dict[int | str, str] = {}
    for i, item in enumerate(items_of(content, "categories")):
        name = item.get("name")
        if not isinstance(name, str):
            raise UnusableError("label-shape", f"field `categories[{i}].name` is not a text")
        categories[_id(item, "id", f"categories[{i}]")] = name
    images: dict[str, list[Item]] = defaultdict(list)
    for i, item in enumerate(items_of(content, "images")):
        _id(item, "id", f"images[{i}]")
        name = item.get("file_name")
        if not isinstance(name, str):
            raise UnusableError("label-shape", f"field `images[{i}].file_name` is not a text")
        images[_parts(name)[-1]].append(item)
    annotations: dict[int | str, list[tuple[int, Item]]] = defaultdict(list)
    for i, item in enumerate(items_of(content, "annotations")):
        annotations[_id(item, "image_id", f"annotations[{i}]")].append((i, item))
    return Instances(dict(images), dict(annotations), categories)


def paint_instances(
    found: Instances,
    image: str,
    id_of_label: Mapping[str, int],
    background: int,
    max_pixels: int,
) -> LabelMap:
    """Paint the objects of one image: larger ones first, equally large ones in the file's order.

    The size is the number of pixels. Crowds (`iscrowd`) are painted as their category. The parts of
    an object are united; a pixel belongs to a polygon if its centre does.

    Args:
        found: what the annotation file says.
        image: path of the image; `file_name` may have fewer folders before it, or more.
        id_of_label: class id of every known category, 255 for void ones, -1 for those left out.
        background: id of what no object covers.
        max_pixels: a larger image is refused.

    Returns:
        Class ids, uint8 [height, width].

    Raises:
        UnusableError: the image is not in the file, a field is missing or of another shape, or a
            category is unknown.
    """
    entry = entry_of(found, image)
    try:
        size = side_of(entry, "height"), side_of(entry, "width")
        refuse_huge("huge-label", size[1], size[0], max_pixels)
        ids: LabelMap = np.full(size, background, np.uint8)
        areas = _areas(found, entry["id"], id_of_label, size)
    except UnusableError as error:
        text = f"image '{entry['file_name']}': {error}"
        raise UnusableError(error.code, text, dict(error.unknown)) from None
    for class_id, (top, left, mask) in sorted(areas, key=lambda area: -int(area[1].mask.sum())):
        height, width = mask.shape
        ids[top : top + height, left : left + width][mask] = class_id
    return ids


def _areas(
    found: Instances, image_id: int | str, id_of_label: Mapping[str, int], size: tuple[int, int]
) -> list[tuple[int, Area]]:
    """Class id and area of each object of an image, in the order of the file."""
    areas, unknown = [], UnknownLabels()
    for position, item in found.annotations.get(image_id, ()):
        place = f"annotations[{position}]"
        category = _id(item, "category_id", place)
        if category not in found.categories:
            raise UnusableError(
                "label-shape", f"field `{place}.category_id`: {category!r} is not in `categories`"
            )
        name = found.categories[category]
        if name not in id_of_label:
            unknown.add(name, f"{place}.category_id")
        elif id_of_label[name] != NOT_PAINTED:
            area = _area(item.get("segmentation"), size, f"{place}.segmentation")
            areas.append((id_of_label[name], area))
    unknown.refuse()
    return areas


def entry_of(found: Instances, image: str) -> Item:
    """The entry of an image, whose path ends as the one in the file does, or the other way.

    Raises:
        UnusableError: there is none, or there are several.
    """
    wanted = _parts(image)
    named = found.images.get(wanted[-1], [])
    fitting = []
    for item in named:
        parts = _parts(item["file_name"])
        shared = min(len(parts), len(wanted))
        if parts[-shared:] == wanted[-shared:]:
            fitting.append(item)
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UnusableError(
            "label-shape", f"`images` has '{wanted[-1]}' {len(fitting)} times, for '{image}'"
        )
    other = f"; the folders differ from '{named[0]['file_name']}'" if named else ""
    raise UnusableError("missing-label", f"`images` has no `file_name` '{image}'{other}")


def _parts(path: str) -> list[str]:
    return [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")] or [""]


def _id(item: Item, field: str, place: str) -> int | str:
    value = item.get(field)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UnusableError("label-shape", f"field `{place}.{field}` is not an id: {value!r}")
    return value


def _area(segmentation: object, size: tuple[int, int], place: str) -> Area:
    if isinstance(segmentation, dict):
        return _cropped(_from_runs(segmentation, size, place))
    if not isinstance(segmentation, list) or not segmentation:
        raise UnusableError(
            "label-shape",
            f"field `{place}` has neither polygons nor RLE; a box alone is not an area",
        )
    return _united(
        [polygon_area(_corners(p, f"{place}[{i}]"), size) for i, p in enumerate(segmentation)]
    )


def _cropped(mask: Mask) -> Area:
    """The part of a mask that is not empty: hundreds of whole ones would fill the memory."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return Area(0, 0, mask[:0, :0])
    top, left = int(rows[0]), int(columns[0])
    return Area(top, left, mask[top : rows[-1] + 1, left : columns[-1] + 1].copy())


def _united(areas: list[Area]) -> Area:
    if len(areas) == 1:
        return areas[0]
    top, left = min(area.top for area in areas), min(area.left for area in areas)
    bottom = max(area.top + area.mask.shape[0] for area in areas)
    right = max(area.left + area.mask.shape[1] for area in areas)
    mask = np.zeros((bottom - top, right - left), np.bool_)
    for area in areas:
        y, x = area.top - top, area.left - left
        mask[y : y + area.mask.shape[0], x : x + area.mask.shape[1]] |= area.mask
    return Area(top, left, mask)


def _corners(polygon: object, place: str) -> npt.NDArray[np.float64]:
    """The corners of a polygon, x and y, float64 [corners, 2]."""
    try:
        values = np.array(polygon, np.float64)
    except (TypeError, ValueError, OverflowError):
        values = np.zeros(1)
    if values.ndim != 1 or len(values) % 2 or not len(values):
        raise UnusableError("label-shape", f"field `{place}` is not a list x0, y0, x1, y1, ...")
    if not np.isfinite(values).all():
        raise UnusableError("label-shape", f"field `{place}` has a coordinate that is not finite")
    if (np.abs(values) > FARTHEST).any():
        raise UnusableError(
            "label-shape", f"field `{place}` has a coordinate beyond {FARTHEST} pixels"
        )
    return values.reshape(-1, 2)


def polygon_area(corners: npt.NDArray[np.float64], size: tuple[int, int]) -> Area:
    """The pixels whose centre lies in a polygon (even-odd rule), as in pycocotools.

    Pillow, which paints the other formats, takes the pixels of the outline as well: measured
    against pycocotools that is 5 % too large for objects of 40 pixels.

    Args:
        corners: x and y, where a pixel reaches from its number to the next, [corners, 2].
        size: height and width of the image.
    """
    after = _after(corners)
    left, top = np.clip(after.min(0), 0, size[::-1]).tolist()
    right, bottom = np.clip(after.max(0), 0, size[::-1]).tolist()
    ends = np.roll(corners, -1, axis=0)
    # whether their number is odd is all that counts, so that it may overflow
    crossings = np.zeros((bottom - top, right - left + 1), np.uint8)
    for i in range(0, len(corners), EDGES_AT_ONCE):
        some = slice(i, i + EDGES_AT_ONCE)
        row, column = _crossed(corners[some], ends[some], top, bottom)
        np.add.at(crossings, (row - top, np.clip(column, left, right) - left), 1)
    odd = np.cumsum(crossings[:, :-1], axis=1, dtype=np.uint8) & 1
    return Area(top, left, odd.astype(np.bool_))


def _after(positions: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The first row or column whose centre comes after a position; that of i is at i + 0.5."""
    return np.ceil(positions - 0.5).astype(np.int64)


def _crossed(
    starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], top: int, bottom: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where edges cross the centre lines of rows: the rows, and the first columns behind.

    Args:
        starts: x and y of where each edge starts, [edges, 2].
        ends: x and y of where it ends.
        top: the first row that is looked at.
        bottom: the row after the last one.
    """
    first, last = np.sort(np.stack([_after(starts[:, 1]), _after(ends[:, 1])]), axis=0)
    first, last = np.clip(first, top, bottom), np.clip(last, top, bottom)
    rows = last - first
    edge = np.repeat(np.arange(len(rows)), rows)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(rows) - rows, rows)
    (x, y), (over, down) = starts[edge].T, (ends - starts)[edge].T
    return row, _after(x + (row + 0.5 - y) * over / down)


def _from_runs(segmentation: Item, size: tuple[int, int], place: str) -> Mask:
    """Decode RLE: lengths of runs down the columns, of pixels outside and inside in turn."""
    stated = segmentation.get("size")
    if stated != list(size):
        raise UnusableError(
            "label-size", f"field `{place}.size` is {stated!r}, the image has {list(size)}"
        )
    counts = segmentation.get("counts")
    try:
        runs = counts_from_text(counts) if isinstance(counts, str) else counts
        if not isinstance(runs, list) or any(type(run) is not int for run in runs):
            raise ValueError("is neither a list of whole numbers nor a text")
        pixels = size[0] * size[1]
        if any(not 0 <= run <= pixels for run in runs) or sum(runs) != pixels:
            raise ValueError(f"does not add up to the {pixels} pixels of the image")
    except ValueError as error:
        raise UnusableError("label-shape", f"field `{place}.counts` {error}") from None
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, runs).reshape(size[1], size[0]).T


def counts_from_text(text: str) -> list[int]:
    """Decode the compressed form of RLE's counts.

    Each character holds 6 bits from '0' on: 5 of the number, the lowest ones first, and whether
    more follow. Numbers are signed; from the fourth on they are differences to the last but one.

    Raises:
        ValueError: the text is not of this form.
    """
    counts: list[int] = []
    number = length = 0
    for character in text:
        bits = ord(character) - ord("0")
        if not 0 <= bits < 64 or length == LONGEST_NUMBER:
            raise ValueError("is not a compressed RLE")
        number |= (bits & 31) << 5 * length
        length += 1
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << 5 * length
        counts.append(number + (counts[-2] if len(counts) > 2 else 0))
        number = length = 0
    if length:
        raise ValueError("is a compressed RLE that was cut")
    return counts
