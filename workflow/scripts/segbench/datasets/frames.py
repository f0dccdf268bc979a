"""Read, check and write one image and its label: what a process of the preparation does.

Each file is opened once. Knows one frame at a time, and nothing of the dataset as a whole.
"""

import errno
import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Any

import numpy as np
import numpy.typing as npt

from segbench.datasets.findings import Fault, UnusableError
from segbench.datasets.images import Inspected, inspect_image
from segbench.datasets.labels import Counts, LabelReader
from segbench.datasets.layout import Frame
from segbench.datasets.png import encode_png
from segbench.system.files import place

# a file that was changed so shortly before it was read may change again within the same time stamp
UNSETTLED_NS = 2_000_000_000

Stamp = tuple[int, ...]  # size, time of change and inode: another content has another stamp


@dataclass(frozen=True, slots=True)
class Known:
    """What a former preparation made of a frame, and the stamps of its files then.

    Attributes:
        image: stamp of the image.
        label_path: path of the label below the root.
        label: stamp of the label.
        kept: stamp of the prepared label that was kept.
        record: the frame's record.
        pixels: pixels by class, void last.
        warnings: what was told about the frame.
    """

    image: Stamp
    label_path: str
    label: Stamp
    kept: Stamp
    record: dict[str, Any]
    pixels: tuple[int, ...]
    warnings: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one frame turned out to be: its record, or what is wrong with it.

    Attributes:
        record: what the table of frames says of it.
        pixels: pixels by class, void last, int64 [classes + 1].
        faults: errors or warnings.
        known: what to remember for the next preparation, if that is safe.
        reused: whether the files were not read, because they are as they were.
    """

    record: dict[str, Any] | None
    pixels: Counts | None
    faults: tuple[Fault, ...]
    known: Known | None = None
    reused: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One frame to prepare.

    Attributes:
        split: the split it goes to.
        frame: its files.
        known: what is known of it from before.
    """

    split: str
    frame: Frame
    known: Known | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """Where and how frames are prepared; the same for all of them.

    Attributes:
        root: folder that the frames' paths are relative to.
        folder: the prepared dataset.
        reader: reads the labels.
        max_pixels: larger images are refused.
        kept: folder of prepared labels for the next time, if they are to be kept.
    """

    root: Path
    folder: Path
    reader: LabelReader
    max_pixels: int
    kept: Path | None = None

    def prepare(self, task: Task) -> Outcome:
        """Read, check and write one image and its label, or take over what is known of them."""
        image = self.root / task.frame.image
        if not task.frame.name.isprintable():
            return _fault("unprintable-name", repr(task.frame.image))
        try:
            image_stamp = stamp(image)
        except OSError as error:
            return _fault("unreadable-image", f"{image}: {error.strerror}")
        label, label_stamp = self._label(task.frame)
        if label is None:
            looked_for = ", ".join(task.frame.labels)
            return _fault("missing-label", f"{image}: looked for {looked_for}")
        known = task.known
        seen = (image_stamp, label, label_stamp)
        if known and (known.image, known.label_path, known.label) == seen and self._take(task):
            record = self._placed(task, dict(known.record))
            return Outcome(record, np.array(known.pixels), known.warnings, known, reused=True)
        return self._read(task, image, label, (image_stamp, label_stamp))

    def _label(self, frame: Frame) -> tuple[str | None, Stamp]:
        for candidate in frame.labels:
            try:
                return candidate, stamp(self.root / candidate)
            except OSError:
                continue
        return None, ()

    def _take(self, task: Task) -> bool:
        """Take over the prepared label from before, if it is there as it was left."""
        kept = self._kept(task.frame)
        assert task.known is not None
        try:
            if kept is None or stamp(kept) != task.known.kept:
                return False
        except OSError:
            return False
        link_or_copy(kept, self._target(task, "label", ".png"))
        return True

    def _read(self, task: Task, image: Path, label: str, stamps: tuple[Stamp, Stamp]) -> Outcome:
        read_at, path = time.time_ns(), image
        try:
            data = _content(image, "unreadable-image")
            found = inspect_image(data, self.max_pixels)
            path = self.root / label
            if self.reader.is_shared:
                read = self.reader.read_shared(path, task.frame.image)
            else:
                read = self.reader.read_counted(_content(path, "unreadable-label"))
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
                "label_sha256": hashlib.sha256(np.ascontiguousarray(read.ids).data).hexdigest(),
            },
        )
        kept = self._write(task, read.ids)
        deep = f"{found.bits} bits" if found.bits > 8 else ""
        odd = (
            ("hole-in-image", image, found.has_hole),
            ("deep-image", image, deep),
            ("palette-colors", path, read.doubt),
        )
        warnings = tuple(
            Fault(code, f"{where}: {detail}" if isinstance(detail, str) else str(where))
            for code, where, detail in odd
            if detail
        )
        warnings += read.change_told(path)
        known = None
        if kept and max(stamps[0][1], stamps[1][1]) < read_at - UNSETTLED_NS:
            pixels = tuple(read.pixels.tolist())
            known = Known(stamps[0], label, stamps[1], kept, record, pixels, warnings)
        return Outcome(record, read.pixels, warnings, known)

    def _placed(self, task: Task, record: dict[str, Any]) -> dict[str, Any]:
        """Place the image; the record says in which split it is now, and how it was placed."""
        target = self._target(task, "img", record["suffix"])
        placed = place(self.root / task.frame.image, target)
        return record | {"split": task.split, "placed": placed}

    def _write(self, task: Task, ids: npt.NDArray[np.uint8]) -> Stamp | None:
        """Write the label, and keep it for the next time; returns the stamp of what is kept."""
        target = self._target(task, "label", ".png")
        target.write_bytes(encode_png(ids))
        kept = self._kept(task.frame)
        if kept is None:
            return None
        link_or_copy(target, kept)
        return stamp(kept)

    def _target(self, task: Task, kind: str, suffix: str) -> Path:
        return self.folder / f"{task.split}_{kind}" / f"{task.frame.name}{suffix}"

    def _kept(self, frame: Frame) -> Path | None:
        return self.kept / kept_name(frame.image) if self.kept else None


def stamp(path: Path) -> Stamp:
    """Size, time of change and inode of a file.

    Raises:
        OSError: there is no such file, or it is a folder or the like.
    """
    status = path.stat()
    if not S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is no file", str(path))
    return status.st_size, status.st_mtime_ns, status.st_ino


def _content(path: Path, code: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnusableError(code, error.strerror or str(error)) from None


def _refuse_other_size(shape: tuple[int, ...], image: Inspected) -> None:
    if shape != (image.height, image.width):
        sizes = f"{shape[1]}x{shape[0]}, image {image.width}x{image.height}"
        raise UnusableError("label-size", sizes)


def kept_name(image: str) -> str:
    """Name of the file that keeps the prepared label of an image."""
    return hashlib.sha256(image.encode(errors="surrogateescape")).hexdigest()[:32] + ".png"


def link_or_copy(source: Path, target: Path) -> None:
    """Make a file appear under a second name that outlives the first one."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _fault(code: str, example: str, unknown: tuple[tuple[str, int], ...] = ()) -> Outcome:
    return Outcome(None, None, (Fault(code, example, unknown),))
