"""Training transforms that compute only what is seen: the published ones, draw for draw.

A recipe resizes the whole image, and then cuts a window out of it. Here the window is drawn first,
with the same random numbers in the same order, and it alone is resized. Labels, windows, flips and
colour changes are those of MMSegmentation to the bit; pixels differ by the rounding of the
interpolation. Imports mmseg.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
from mmcv.image import rescale_size
from mmcv.transforms import RandomResize
from mmcv.transforms.base import BaseTransform
from mmseg.registry import TRANSFORMS

from segbench.engine.equal_transforms import Pixels, Step, equal_but_faster

Window = tuple[slice, slice]  # rows and columns of the resized image
# A part is resized from so many pixels before what is wanted of it, and from so near a border of
# pixels. The nearer, the less does it differ from the resized whole; `warpAffine` is off by 1/64.
EARLIEST, NEAR = 128, 1 / 128
SPARSE = 16  # one pixel of so many in each direction says which class is the largest
TRIES = 10  # of MMSegmentation's `RandomCrop`, for a window that no class fills
# keys of a step that is computed here; any other one asks for something else
RESIZE = {"type", "scale", "ratio_range", "keep_ratio"}
CROP = {"type", "crop_size", "cat_max_ratio", "ignore_index"}


@TRANSFORMS.register_module()
class CropOfResized(BaseTransform):  # type: ignore[misc]
    """`RandomResize` that keeps the ratio of the sides, and then `RandomCrop`.

    Args:
        scale: width and height within which an image of ratio 1 fits.
        ratio_range: the least and the greatest ratio.
        crop_size: height and width of the window.
        cat_max_ratio: share of the window that no class should exceed.
        ignore_index: value of the label that does not count.
    """

    def __init__(
        self,
        scale: tuple[int, int],
        ratio_range: tuple[float, float],
        crop_size: int | tuple[int, int],
        cat_max_ratio: float = 1.0,
        ignore_index: int = 255,
    ) -> None:
        self.resizing = RandomResize(scale, ratio_range, keep_ratio=True)
        self.crop = (crop_size, crop_size) if isinstance(crop_size, int) else crop_size
        self.cat_max_ratio, self.ignore_index = cat_max_ratio, ignore_index

    def transform(self, results: dict[str, object]) -> dict[str, object]:
        """Cut a window of `img` and `gt_seg_map` out of their resized forms."""
        image, label = np.asarray(results["img"]), np.asarray(results["gt_seg_map"])
        height, width = image.shape[:2]
        scale = self.resizing._random_scale()
        across, down = rescale_size((width, height), scale)
        rows, columns = nearest(down, height), nearest(across, width)
        window, label = self._window(label, rows, columns)
        results["img"] = part_of_resized(image, (down, across), window)
        results["gt_seg_map"] = label
        results["img_shape"] = label.shape
        results["scale"], results["keep_ratio"] = scale, True
        results["scale_factor"] = (across / width, down / height)
        return results

    def _window(
        self, label: Pixels, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
    ) -> tuple[Window, Pixels]:
        """Draw windows until no class fills one; the last one, and the label in it."""
        window = self._drawn(len(rows), len(columns))
        for _ in range(TRIES if self.cat_max_ratio < 1 else 0):
            found = _taken(label, rows[window[0]], columns[window[1]])
            if is_mixed(found, self.cat_max_ratio, self.ignore_index):
                return window, found
            window = self._drawn(len(rows), len(columns))
        return window, _taken(label, rows[window[0]], columns[window[1]])

    def _drawn(self, height: int, width: int) -> Window:
        top = np.random.randint(0, max(height - self.crop[0], 0) + 1)
        left = np.random.randint(0, max(width - self.crop[1], 0) + 1)
        bottom, right = min(height, top + self.crop[0]), min(width, left + self.crop[1])
        return slice(top, bottom), slice(left, right)


def is_mixed(label: Pixels, ratio: float, ignore_index: int) -> bool:
    """Whether a window shows several classes, and none of them in too large a part of it.

    Args:
        label: class ids [height, width].
        ratio: share of the pixels that count which each class stays below.
        ignore_index: value that does not count.
    """
    counted = label.size - np.count_nonzero(label == ignore_index)
    # the class that few pixels show most often is nearly always the largest, and counts alone
    few = np.bincount(label[::SPARSE, ::SPARSE].ravel(), minlength=256)
    few[ignore_index] = 0
    largest = np.count_nonzero(label == int(few.argmax())) if few.any() else 0
    if largest and largest / counted >= ratio:
        return False
    if largest and largest < counted and (counted - largest) / counted < ratio:
        return True  # all others together are not too many
    # floats, which are exact up to 2**24 pixels
    counts = cv2.calcHist([label], [0], None, [256], [0, 256])
    counts[ignore_index] = 0
    return bool(np.count_nonzero(counts) > 1 and counts.max() / counts.sum() < ratio)


def _taken(label: Pixels, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]) -> Pixels:
    """Some rows and columns, ascending, of a label; rows are copied faster than columns."""
    part = label[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][rows - rows[0]]
    turned = cv2.transpose(part)[columns - columns[0]]
    return np.asarray(cv2.transpose(turned), np.uint8)


def nearest(wanted: int, there: int) -> npt.NDArray[np.intp]:
    """Which pixel OpenCV takes for each that is wanted when it resizes labels."""
    ramp = np.arange(there, dtype=np.float32)[None]  # exact up to 2**24
    taken = cv2.resize(ramp, (wanted, 1), interpolation=cv2.INTER_NEAREST)
    return np.asarray(taken[0], np.intp)


def part_of_resized(image: Pixels, size: tuple[int, int], window: Window) -> Pixels:
    """A window of an image that is resized by bilinear interpolation, without the rest of it.

    Args:
        image: uint8 [height, width, channels].
        size: height and width of the resized image.
        window: its rows and columns that are wanted.
    """
    rows, columns = window
    if image.shape[:2] == size:
        return image[rows, columns].copy()  # the whole may be read-only
    down, across = image.shape[0] / size[0], image.shape[1] / size[1]
    first, second = _start(rows.start, down), _start(columns.start, across)
    if first and second:
        part = image[_read(*first, rows, down), _read(*second, columns, across)]
        resized = cv2.resize(part, None, fx=1 / across, fy=1 / down)
        found = np.asarray(resized[first[0] :, second[0] :], np.uint8)
        found = found[: rows.stop - rows.start, : columns.stop - columns.start]
        if found.shape[:2] == (rows.stop - rows.start, columns.stop - columns.start):
            return found
    # takes twice the time; centres of pixels lie on one another
    place = np.array([
        [across, 0, across * (columns.start + 0.5) - 0.5],
        [0, down, down * (rows.start + 0.5) - 0.5],
    ])  # fmt: skip
    return np.asarray(
        cv2.warpAffine(
            image, place, (columns.stop - columns.start, rows.stop - rows.start),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )  # fmt: skip


def _start(wanted: int, step: float) -> tuple[int, int] | None:
    """Where to begin so that a part is resized as it is in the whole: on a border of pixels.

    Args:
        wanted: first pixel that is wanted of the resized image.
        step: pixels of the image for one of the resized image.

    Returns:
        How many pixels before it, and that border in the image; None if no border is near.
    """
    earlier = np.arange(min(wanted, EARLIEST) + 1)
    places = step * (wanted - earlier)
    borders = np.rint(places)
    # what lies before the part has no share in what is wanted
    is_apart = (earlier >= 0.5 / step - 0.5) | (borders == 0)
    good = np.flatnonzero((np.abs(places - borders) <= NEAR) & is_apart)
    return (int(good[0]), int(borders[good[0]])) if len(good) else None


def _read(earlier: int, border: int, wanted: slice, step: float) -> slice:
    """The pixels of an image that the resized ones, and those before them, are made from."""
    return slice(border, border + math.ceil(step * (earlier + wanted.stop - wanted.start)) + 2)


def computed_here(pipeline: Sequence[Step]) -> tuple[list[Step], str]:
    """A training pipeline with the transforms of this module in place of the published ones.

    Args:
        pipeline: steps of a rendered config.

    Returns:
        The steps, and why the image is still resized as a whole; empty if it is not.
    """
    steps = equal_but_faster(pipeline)
    names = [str(step["type"]) for step in steps]
    if "RandomResize" not in names or "RandomCrop" not in names:
        return steps, f"its transforms are {', '.join(names)}"
    first = names.index("RandomResize")
    both, names = steps[first : first + 2], names[first : first + 2]
    if names != ["RandomResize", "RandomCrop"] or not _is_plain(*both):
        return steps, "it resizes or crops in a way of its own"
    resize, crop = both
    one = {key: resize[key] for key in ("scale", "ratio_range")} | dict(crop)
    return [*steps[:first], one | {"type": "CropOfResized"}, *steps[first + 2 :]], ""


def _is_plain(resize: Step, crop: Step) -> bool:
    """Whether two steps have no settings but those that are known here."""
    scale = resize.get("scale")
    return (
        set(resize) == RESIZE
        and resize["keep_ratio"] is True
        and isinstance(scale, tuple)
        and all(isinstance(side, int) for side in scale)
        and set(crop) <= CROP
    )
