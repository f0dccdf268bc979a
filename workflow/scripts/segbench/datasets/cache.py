"""A cache of what was made of each frame, so that unchanged files are not read again.

It lies beside the prepared dataset, not in it: Snakemake removes a rule's outputs before it runs
the rule again.
"""

import errno
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from stat import S_ISREG
from typing import Any

from segbench.datasets.description import DatasetDescription
from segbench.datasets.findings import Fault, UnusableError
from segbench.datasets.frame_record import FrameRecord
from segbench.system.code_digest import code_digest
from segbench.system.contents import UNSETTLED_NS

LOG = logging.getLogger(__name__)
DECODERS = ("pillow", "numpy", "orjson")

Stamp = tuple[int, ...]  # size, time of change and inode: another content has another stamp


@dataclass(frozen=True, slots=True)
class Seen:
    """The files of a frame as they were before they were read.

    Attributes:
        image: path of the image below the root.
        label: path of the label below the root.
        stamps: of the image and of the label.
        at: when that was, in nanoseconds.
    """

    image: str
    label: str
    stamps: tuple[Stamp, Stamp]
    at: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What was made of a frame.

    Attributes:
        record: what the table of frames says of it.
        pixels: pixels by class, void last.
        warnings: what was told about the frame.
    """

    record: FrameRecord
    pixels: tuple[int, ...]
    warnings: tuple[Fault, ...]


class PreparedCache:
    """What former preparations of a dataset made of its frames, and the labels they wrote.

    An entry is valid only as long as all of these are as they were:
        - size, time of change and inode of the frame's image and of its label;
        - which of the possible labels is there;
        - the way of reading: the parts of the description that shape it, and the root;
        - the code that prepares, and the versions of the packages that decode;
        - size, time of change and inode of the kept label.

    It never trusts a file that was changed within the last two seconds, never says anything about
    a frame that is wrong (so each error is found again), and never raises because an entry is
    damaged: such a frame is read. It does not look at contents: who writes other bytes of the same
    size into the same file and sets its old time back is not noticed.

    Each frame has a file of its own, so processes share a cache without locks, as long as no two
    of them prepare the same frame, and a preparation that was killed keeps what it had done.

    Args:
        base: folder of the cache, on the file system of the prepared dataset; None keeps nothing.
        description: says how the files are read.
        root: folder that the paths of the frames are relative to.
    """

    def __init__(self, base: Path | None, description: DatasetDescription, root: Path) -> None:
        self._base = base
        self._folder: Path | None = None
        if base is not None:
            self._folder = base / _way_of_reading(description, root)
            self._folder.mkdir(parents=True, exist_ok=True)

    def find(self, seen: Seen, target: Path) -> Entry | None:
        """What is known of a frame; its prepared label is then at `target`.

        Args:
            seen: the frame's files now.
            target: where the prepared label goes; left alone if nothing is known.
        """
        if self._folder is None:
            return None
        note = self._folder / f"{_name(seen.image)}.json"
        kept = note.with_suffix(".png")
        try:
            label, stamps, kept_stamp, record, pixels, warnings = json.loads(note.read_text())
            then = label, _with_tuples(stamps), _with_tuples(kept_stamp)
            if then != (seen.label, seen.stamps, _stamp(kept)):
                return None
            faults = tuple(Fault(*_with_tuples(warning)) for warning in warnings)
            entry = Entry(record, tuple(pixels), faults)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError):
            LOG.warning("%s: cannot be read; %s is read again", note, seen.image)
            return None
        _link_or_copy(kept, target)
        return entry

    def remember(self, seen: Seen, entry: Entry, target: Path) -> None:
        """Keep what was made of a frame, unless its files were still being written.

        Args:
            seen: the frame's files before they were read.
            entry: what was made of them.
            target: the prepared label.
        """
        changed = max(changed for _, changed, _ in seen.stamps)
        if self._folder is None or changed >= seen.at - UNSETTLED_NS:
            return
        note = self._folder / f"{_name(seen.image)}.json"
        kept = note.with_suffix(".png")
        _link_or_copy(target, kept)
        new = note.with_suffix(".new")
        new.write_text(json.dumps([seen.label, seen.stamps, _stamp(kept), *astuple(entry)]))
        new.replace(note)

    def forget_others(self, images: Iterable[str]) -> None:
        """Remove all that is not of these images and of this way of reading."""
        if self._folder is None or self._base is None:
            return
        wanted = {f"{_name(image)}{suffix}" for image in images for suffix in (".json", ".png")}
        for path in self._folder.iterdir():
            if path.name not in wanted:
                path.unlink()
        for other in self._base.iterdir():
            if other != self._folder:
                shutil.rmtree(other, ignore_errors=True)


def see(root: Path, image: str, labels: Sequence[str]) -> Seen:
    """Look at the files of a frame, without reading them.

    Args:
        root: folder that the paths are relative to.
        image: path of the image.
        labels: where its label may be; the first that is there counts.

    Raises:
        UnusableError: the image or all of its labels are missing.
    """
    at = time.time_ns()
    try:
        image_stamp = _stamp(root / image)
    except OSError as error:
        raise UnusableError("unreadable-image", error.strerror or str(error)) from None
    for label in labels:
        try:
            return Seen(image, label, (image_stamp, _stamp(root / label)), at)
        except OSError:
            continue
    raise UnusableError("missing-label", f"looked for {', '.join(labels)}")


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    if not S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is not a file", str(path))
    return status.st_size, status.st_mtime_ns, status.st_ino


def _way_of_reading(description: DatasetDescription, root: Path) -> str:
    """Digest of everything but a frame's files that shapes what is made of it."""
    parts = [
        code_digest(Path(__file__).with_name("prepare.py")),
        *(f"{name} {version(name)}" for name in DECODERS),
        str(root.resolve()),
        description.model_dump_json(include={"images", "labels", "classes", "max_image_pixels"}),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _name(image: str) -> str:
    """Name without suffix of the files that belong to an image."""
    return hashlib.sha256(image.encode(errors="surrogateescape")).hexdigest()[:32]


def _with_tuples(value: Any) -> Any:
    """What JSON made lists of as tuples again."""
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def _link_or_copy(source: Path, target: Path) -> None:
    """Make a file appear under a second name that outlives the first one."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
