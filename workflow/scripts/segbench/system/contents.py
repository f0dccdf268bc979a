"""What the files of a source held when they were read: a touched file is not a changed one.

A listing is a digest of names, sizes and times: cheap, but another time gives another listing. So
the contents are noted beside it, and files whose time alone differs are compared by content.
"""

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from segbench.errors import DataError
from segbench.system.files import sha256_of
from segbench.system.records import Record

MAX_COMPARED = 4 * 2**30  # bytes that a plan reads; beyond, touched files are taken for changed
# a file that was changed so shortly before it was read may change again within the same time stamp
UNSETTLED_NS = 2_000_000_000

Stamp = tuple[int, int]  # size and time of change in nanoseconds


class Contents(Record):
    """What the files of a source held.

    Attributes:
        listing: of the files when they were read.
        files: size, time of change in nanoseconds and SHA-256, by path.
    """

    listing: str
    files: dict[str, tuple[int, int, str]]


def stamps_of(root: Path, paths: Iterable[str]) -> dict[str, Stamp]:
    """Sizes and times of files below a folder; those that cannot be looked at are left out."""
    stamps = {}
    for path in paths:
        with contextlib.suppress(OSError):
            status = (root / path).stat()
            stamps[path] = status.st_size, status.st_mtime_ns
    return stamps


def listing_of(stamps: Mapping[str, Stamp]) -> str:
    """Digest of names, sizes and times."""
    hasher = hashlib.sha256()
    for path, (size, changed) in stamps.items():
        hasher.update(f"{path}\0{size}\0{changed}\n".encode(errors="surrogateescape"))
    return hasher.hexdigest()[:16]


def listing_as_read(note: Path, root: Path, stamps: Mapping[str, Stamp]) -> str:
    """The listing of the files as they were read, if they hold the same now; else the one of now.

    Args:
        note: where `write_contents` left what they held; the times in it are brought up to date.
        root: folder of the files.
        stamps: of all files now.
    """
    now = listing_of(stamps)
    try:
        known = Contents.read(note)
    except DataError:
        return now
    if known.files.keys() != stamps.keys():
        return now
    touched = {path for path, stamp in stamps.items() if known.files[path][:2] != stamp}
    if any(known.files[path][0] != stamps[path][0] for path in touched):
        return now
    if sum(stamps[path][0] for path in touched) > MAX_COMPARED:
        return now
    try:
        same = all(sha256_of(root / path) == known.files[path][2] for path in touched)
    except OSError:
        return now
    if same and touched:
        files = {path: (*stamps[path], known.files[path][2]) for path in stamps}
        with contextlib.suppress(OSError):  # only so that they are not compared again
            Contents(listing=known.listing, files=files).write(note)
    return known.listing if same else now


def write_contents(
    note: Path,
    listing: str,
    root: Path,
    stamps: Mapping[str, Stamp],
    hashes: Mapping[str, str],
    at: int,
) -> None:
    """Note what the files of a source held, unless one changed shortly before or meanwhile.

    Args:
        note: the file to write.
        listing: what a plan called these files.
        root: folder of the files.
        stamps: of all files, from before the first of them was read.
        hashes: SHA-256 of those whose hash is known; the others are read.
        at: when the stamps were taken, in nanoseconds.
    """
    note.unlink(missing_ok=True)
    # JSON has no names that are not Unicode
    if any(
        not path.isprintable() or changed >= at - UNSETTLED_NS
        for path, (_, changed) in stamps.items()
    ):
        return
    files = {
        path: (*stamp, hashes.get(path) or sha256_of(root / path)) for path, stamp in stamps.items()
    }
    if stamps_of(root, stamps) == stamps:  # as they were before they were read
        Contents(listing=listing, files=files).write(note)
