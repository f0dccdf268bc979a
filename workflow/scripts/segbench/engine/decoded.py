"""Training images as they are decoded, in one file that all trainings and processes share.

An image file is then decoded once for a dataset instead of once in every epoch, and a crop reads
its own pixels alone. What a training sees is the same to the bit. Imports mmseg.
"""

import logging
import mmap
import os
import shutil
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt
from mmcv.transforms.base import BaseTransform
from mmseg.registry import TRANSFORMS

from segbench.engine.dataset import FrameDataset
from segbench.engine.execution import Execution
from segbench.errors import DataError
from segbench.system.files import alone
from segbench.system.pools import process_pool
from segbench.system.progress import Progress
from segbench.system.provenance import PreparedContent
from segbench.system.records import Record

LOG = logging.getLogger(__name__)
SHARE_OF_DISK = 0.5  # of what is free
FEWEST_PASSES = 2  # over all images; a shorter training gains nothing
PIXELS, INDEX = "pixels.bin", "index.json"
LOADS = ("LoadImageFromFile", "LoadAnnotations")
GB = 10**9

Pixels = npt.NDArray[np.uint8]


class Index(Record):
    """What lies where in the file of pixels.

    Attributes:
        made_from: digest of the data, the order of the images, and the package that decodes.
        sizes: height and width of each image.
        sums: CRC-32 of each image with its label.
    """

    made_from: str
    sizes: tuple[tuple[int, int], ...]
    sums: tuple[int, ...]


class DecodedImages:
    """Images and labels by index, from a file that is mapped into memory.

    Args:
        folder: that `kept_decoded` gave.

    Raises:
        DataError: the index is missing, damaged or of another version.
        OSError, ValueError: the file of pixels is missing, or is empty.
    """

    def __init__(self, folder: Path) -> None:
        self.index = Index.read(folder / INDEX)
        self._starts = _starts(self.index.sizes)
        with (folder / PIXELS).open("rb") as file:
            self._pixels = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)

    def __getitem__(self, index: int) -> tuple[Pixels, Pixels]:
        """BGR pixels [height, width, 3] and class ids [height, width], which cannot be written."""
        height, width = self.index.sizes[index]
        start, pixels = self._starts[index], height * width
        image = np.frombuffer(self._pixels, np.uint8, 3 * pixels, start)
        label = np.frombuffer(self._pixels, np.uint8, pixels, start + 3 * pixels)
        return image.reshape(height, width, 3), label.reshape(height, width)

    def is_sound(self, threads: int) -> bool:
        """Whether the file holds what was written."""
        if len(self._pixels) != self._starts[-1]:
            return False
        whole = memoryview(self._pixels)
        with ThreadPoolExecutor(threads) as pool:
            parts = zip(self._starts, self._starts[1:], strict=False)
            found = pool.map(lambda part: zlib.crc32(whole[part[0] : part[1]]), parts)
            return tuple(found) == self.index.sums


@TRANSFORMS.register_module()
class LoadDecoded(BaseTransform):  # type: ignore[misc]
    """`LoadImageFromFile` and then `LoadAnnotations`, from images that are decoded.

    Args:
        folder: that `kept_decoded` gave.
        as_copy: whether a later step may write into the arrays.
    """

    def __init__(self, folder: str, as_copy: bool = True) -> None:
        self.images, self.as_copy = DecodedImages(Path(folder)), as_copy

    def transform(self, results: dict[str, object]) -> dict[str, object]:
        """Add `img` and `gt_seg_map` with what belongs to them."""
        image, label = self.images[results["sample_idx"]]  # type: ignore[index]
        results["img"] = image.copy() if self.as_copy else image
        results["gt_seg_map"] = label.copy() if self.as_copy else label
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        results["seg_fields"].append("gt_seg_map")  # type: ignore[attr-defined]
        return results


def with_decoded(pipeline: Sequence[Mapping[str, object]], folder: Path) -> list[object]:
    """A pipeline that begins with decoded images instead of image files."""
    as_copy = pipeline[len(LOADS)]["type"] != "CropOfResized"
    first = {"type": "LoadDecoded", "folder": str(folder), "as_copy": as_copy}
    return [first, *pipeline[len(LOADS) :]]


def kept_decoded(
    frames: FrameDataset, folder: Path, samples: int, execution: Execution
) -> Path | None:
    """The folder with the decoded images of a dataset; they are decoded if they are not there.

    Args:
        frames: the training images, with the pipeline of a rendered config.
        folder: keeps the decoded images of any number of datasets.
        samples: how many images the training will see.
        execution: says how many processes decode, and how much of the disk may be taken.

    Returns:
        None where image files are to be decoded as they are seen: for folds, which would need as
        many copies; for recipes that load in a way of their own; for short trainings; and where the
        pixels take more than is allowed, or the disk has.
    """
    loads = frames.pipeline.transforms[: len(LOADS)]
    is_plain = tuple(type(step).__name__ for step in loads) == LOADS
    if frames.more_prefix or not is_plain or samples < FEWEST_PASSES * len(frames):
        return None
    sizes, place = frames.sizes(), folder / Path(frames.data_root).name
    if not _is_allowed(_starts(sizes)[-1], execution.decoded_gb):
        return None  # even if they are there from a training that was allowed more
    place.mkdir(parents=True, exist_ok=True)
    with alone(place / "lock"):
        made_from = _made_from(frames)
        if _is_there(place, made_from, execution.threads):
            return place
        (place / INDEX).unlink(missing_ok=True)
        (place / PIXELS).unlink(missing_ok=True)
        if not _fits(place, _starts(sizes)[-1]):
            return None
        whole = _decode_all(frames, sizes, place, made_from, execution.threads)
        return place if whole else None


def _made_from(frames: FrameDataset) -> str:
    content = PreparedContent.read(Path(frames.data_root) / "manifest.json").content_sha256
    names = [frames.get_data_info(i)["img_path"] for i in range(len(frames))]
    said = [content, *names, version("opencv-python-headless"), version("pillow")]
    return sha256("\n".join(said).encode()).hexdigest()


def _is_there(place: Path, made_from: str, workers: int) -> bool:
    try:
        images = DecodedImages(place)
    except (DataError, OSError, ValueError):
        return False
    if images.index.made_from != made_from:
        return False
    if sound := images.is_sound(workers):
        return sound
    LOG.info("%s: is damaged and made anew", place / PIXELS)
    return False


def _is_allowed(size: int, most_gb: float) -> bool:
    """Whether the pixels may be kept; says why not."""
    if size > most_gb * GB:
        LOG.info(
            "the decoded images would take %.1f GB, of at most %g GB (`training: {decoded_gb: "
            "...}`); image files are decoded as they are seen",
            size / GB, most_gb,
        )  # fmt: skip
    return size <= most_gb * GB


def _fits(place: Path, size: int) -> bool:
    """Whether the disk has room for the pixels; says why not."""
    free = shutil.disk_usage(place).free
    if size > SHARE_OF_DISK * free:
        LOG.info(
            "the decoded images would take %.1f GB in %s, more than half of the %.1f GB that are "
            "free; image files are decoded as they are seen",
            size / GB, place, free / GB,
        )  # fmt: skip
    return size <= SHARE_OF_DISK * free


def _decode_all(
    frames: FrameDataset,
    sizes: Sequence[tuple[int, int]],
    place: Path,
    made_from: str,
    workers: int,
) -> bool:
    """Decode every image into the file of pixels; whether that was possible."""
    part, sums = place / f"{PIXELS}.part", list[int]()
    progress = Progress(f"decode {place.name}", len(sizes), "images")
    try:
        with part.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, _starts(sizes)[-1])
            given = frames, sizes, _starts(sizes), file.fileno()
            with process_pool(workers, _Decoder.prepare, *given) as pool:
                for found in pool.map(_decode, range(len(sizes)), chunksize=4):
                    sums.append(found)
                    progress.step()
        part.replace(place / PIXELS)
        Index(made_from=made_from, sizes=tuple(sizes), sums=tuple(sums)).write(place / INDEX)
    except Exception as error:  # whatever it is, the training does without
        part.unlink(missing_ok=True)
        LOG.info("%s: images are decoded as they are seen: %s", place, error)
        return False
    return True


class _Decoder:
    """What a process needs to decode."""

    given: tuple[FrameDataset, Sequence[tuple[int, int]], Sequence[int], int]

    @classmethod
    def prepare(cls, *given: object) -> None:
        """Keep it for the images to come."""
        cls.given = given  # type: ignore[assignment]


def _decode(index: int) -> int:
    """Write an image and its label to their place; the CRC-32 of both."""
    frames, sizes, starts, file = _Decoder.given
    load, annotate = frames.pipeline.transforms[: len(LOADS)]
    loaded = annotate(load(frames.get_data_info(index)))
    image, label = loaded["img"], loaded["gt_seg_map"]
    if image.shape != (*sizes[index], 3) or label.shape != sizes[index]:
        raise ValueError(f"{loaded['img_path']} has another size than the table of frames says")
    pixels = image.tobytes() + label.tobytes()
    os.pwrite(file, pixels, starts[index])
    return zlib.crc32(pixels)


def _starts(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Where each image begins, three bytes and a class id for each pixel; last, where all end."""
    return [*accumulate((4 * height * width for height, width in sizes), initial=0)]
