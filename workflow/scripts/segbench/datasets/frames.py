"""Read, check and write one image and its label: what a process of the preparation does.

Each file is opened once. Knows one frame at a time, and nothing of the dataset as a whole.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segbench.datasets.cache import Entry, PreparedCache, Seen, see
from segbench.datasets.findings import Fault, UnusableError
from segbench.datasets.frame_record import FrameRecord
from segbench.datasets.images import Inspected, inspect_image
from segbench.datasets.labels import Counts, LabelReader
from segbench.datasets.layout import Frame
from segbench.datasets.png import encode_png
from segbench.system.files import place


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one frame turned out to be: its record, or what is wrong with it.

    Attributes:
        record: what the table of frames says of it.
        pixels: pixels by class, void last, int64 [classes + 1].
        faults: errors or warnings.
        reused: whether the files were not read, because they are as they were.
    """

    record: FrameRecord | None
    pixels: Counts | None
    faults: tuple[Fault, ...]
    reused: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One frame to prepare.

    Attributes:
        split: the split it goes to.
        frame: its files.
    """

    split: str
    frame: Frame


@dataclass(frozen=True, slots=True)
class Worker:
    """Where and how frames are prepared; the same for all of them.

    Attributes:
        root: folder that the frames' paths are relative to.
        folder: the prepared dataset.
        reader: reads the labels.
        max_pixels: larger images are refused.
        cache: what former preparations made of the frames.
    """

    root: Path
    folder: Path
    reader: LabelReader
    max_pixels: int
    cache: PreparedCache

    def prepare(self, task: Task) -> Outcome:
        """Read, check and write one image and its label, or take over what is known of them."""
        image = self.root / task.frame.image
        if not task.frame.name.isprintable():
            return _fault("unprintable-name", repr(task.frame.image))
        try:
            seen = see(self.root, task.frame.image, task.frame.labels)
        except UnusableError as error:
            return _fault(error.code, f"{image}: {error}")
        if known := self.cache.find(seen, self._target(task, "label", ".png")):
            record = self._placed(task, known.record)
            return Outcome(record, np.array(known.pixels), known.warnings, reused=True)
        return self._read(task, seen)

    def _read(self, task: Task, seen: Seen) -> Outcome:
        image, label = self.root / seen.image, self.root / seen.label
        path = image
        try:
            data = _content(image, "unreadable-image")
            found = inspect_image(data, self.max_pixels)
            path = label
            if self.reader.is_shared:
                read = self.reader.read_shared(label, task.frame.image)
            else:
                read = self.reader.read_counted(_content(label, "unreadable-label"))
            _refuse_other_size(read.ids.shape, found)
        except UnusableError as error:
            return _fault(error.code, f"{path}: {error}", error.unknown)
        record = self._placed(
            task,
            {
                "split": task.split,
                "name": task.frame.name,
                "group": task.frame.group,
                "height": found.height,
                "width": found.width,
                "brightness": found.brightness,
                "suffix": image.suffix.lower(),
                "placed": "",
                "image_sha256": hashlib.sha256(data).hexdigest(),
                "label_sha256": read.sha256,
            },
        )
        deep = f"{found.bits} bits" if found.bits > 8 else ""
        odd = (
            ("hole-in-image", image, found.has_hole),
            ("deep-image", image, deep),
            ("palette-colors", label, read.doubt),
        )
        warnings = tuple(
            Fault(code, f"{where}: {detail}" if isinstance(detail, str) else str(where))
            for code, where, detail in odd
            if detail
        )
        warnings += read.change_told(label)
        target = self._target(task, "label", ".png")
        target.write_bytes(encode_png(read.ids))
        self.cache.remember(seen, Entry(record, tuple(read.pixels.tolist()), warnings), target)
        return Outcome(record, read.pixels, warnings)

    def _placed(self, task: Task, record: FrameRecord) -> FrameRecord:
        """Place the image; the record says in which split it is now, and how it was placed."""
        target = self._target(task, "img", record["suffix"])
        placed = place(self.root / task.frame.image, target)
        return record | {"split": task.split, "placed": placed}

    def _target(self, task: Task, kind: str, suffix: str) -> Path:
        return self.folder / f"{task.split}_{kind}" / f"{task.frame.name}{suffix}"


def _content(path: Path, code: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusableError(code, error.strerror or str(error)) from None


def _refuse_other_size(shape: tuple[int, ...], image: Inspected) -> None:
    if shape != (image.height, image.width):
        sizes = f"{shape[1]}x{shape[0]}, image {image.width}x{image.height}"
        raise UnusableError("label-size", sizes)


def _fault(code: str, example: str, unknown: tuple[tuple[str, int], ...] = ()) -> Outcome:
    return Outcome(None, None, (Fault(code, example, unknown),))
