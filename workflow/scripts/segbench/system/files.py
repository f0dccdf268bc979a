"""Put a file in its place by link or copy, hash it, keep others out of a folder meanwhile."""

import contextlib
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

LOG = logging.getLogger(__name__)


def place(source: Path, target: Path) -> str:
    """Make `source` available as `target`: hard link, else symbolic link, else copy.

    Returns:
        Which of the three it was: `hardlink`, `symlink` or `copy`.
    """
    target.unlink(missing_ok=True)
    try:
        # a link to where the data really is, even if the source is a link itself
        os.link(source.resolve(), target)
        return "hardlink"
    except OSError:
        pass
    try:
        target.symlink_to(source.resolve())
        return "symlink"
    except OSError:
        shutil.copyfile(source, target)
        return "copy"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file that is whole on the disk, or not there, whatever happens meanwhile.

    Raises:
        OSError: it cannot be written; what was there before is as it was.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name, too, survives a power cut
    finally:
        os.close(folder)


@contextlib.contextmanager
def alone(lock: Path, work: str = "") -> Iterator[None]:
    """Keep other processes out for as long as the context lasts, however this one ends.

    Waits for another process that is inside. Processes that are forked inside do not hold the lock.

    Args:
        lock: a file, made if need be.
        work: what is waited for, for the message; the folder of the lock by default.
    """
    # only here: `make setup` confirms a bundle with a Python that has no packages yet
    from filelock import FileLock, Timeout

    handle = FileLock(lock)
    try:
        handle.acquire(timeout=0)
    except Timeout:
        LOG.info("waiting for another process that is at work on %s", work or lock.parent)
        handle.acquire()
    try:
        yield
    finally:
        handle.release()
