"""Put a file in its place by link or copy, hash it, keep others out of a folder meanwhile."""

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from segbench.errors import SegbenchError

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


@contextlib.contextmanager
def alone(lock: Path, wait: bool = False) -> Iterator[None]:
    """Keep other processes out for as long as the context lasts, however this one ends.

    Args:
        lock: a file, made if need be.
        wait: wait for another process that holds it, rather than refuse.

    Raises:
        SegbenchError: another process holds it, such as one that outlived a killed workflow.
    """
    with lock.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise SegbenchError(
                    f"{lock.parent}: another process is training this very run, perhaps left over "
                    "from a workflow that was killed. Wait until it ends, or stop it, and run "
                    "again."
                ) from None
            LOG.info("%s: waiting for another process that is at work on it", lock.parent)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
