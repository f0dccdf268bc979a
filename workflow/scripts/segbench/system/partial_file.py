"""What has arrived of a file so far, so that a download which was cut or killed can go on.

Knows the disk, and nothing of the network.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Version:
    """Which file the server gave: how to ask for the very same one again.

    Attributes:
        url: digest of its address, because an address can hold secrets.
        validator: strong entity tag or date of change, if the server tells one.
        size: of the whole file in bytes, if the server tells it.
    """

    url: str
    validator: str | None
    size: int | None


class PartialFile:
    """What has arrived of a file, and in a note beside it, of which version it is.

    Args:
        path: where the whole file will be.
        url: where it comes from; the rest of another URL's file is not used.
    """

    def __init__(self, path: Path, url: str) -> None:
        self.path = path.with_name(f"{path.name}.part")
        self._note = path.with_name(f"{path.name}.part.json")
        self._hasher = hashlib.sha256()
        self.size = 0
        self.version = self._read_note()
        if self.version and self.version.url == key_of(url) and self.version.validator:
            self._read_in()

    def _read_note(self) -> Version | None:
        try:
            return Version(**json.loads(self._note.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _read_in(self) -> None:
        """Hash what an earlier process left."""
        if self.path.is_file():
            with self.path.open("rb") as file:
                while chunk := file.read(MIB):
                    self._hasher.update(chunk)
                    self.size += len(chunk)

    @property
    def sha256(self) -> str:
        """Hash of what has arrived."""
        return self._hasher.hexdigest()

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, as after a kill between the last byte and the new name."""
        return self.size > 0 and self.version is not None and self.size == self.version.size

    def start_over(self, version: Version) -> None:
        """Begin with nothing, with a version of the file."""
        self._hasher, self.size, self.version = hashlib.sha256(), 0, version
        # in this order, a kill in between leaves an empty part and never one of another version
        self.path.write_bytes(b"")
        self._note.write_text(json.dumps(asdict(version)), encoding="utf-8")

    def opened(self) -> IO[bytes]:
        """The file to append to; unbuffered, so that a kill loses nothing that has arrived."""
        return self.path.open("ab", buffering=0)

    def append(self, file: IO[bytes], chunk: bytes) -> None:
        """Add what has just arrived to the opened file."""
        view = memoryview(chunk)
        while view:
            view = view[file.write(view) :]
        self._hasher.update(chunk)
        self.size += len(chunk)

    def remove(self) -> None:
        """Leave nothing behind."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self._hasher, self.size, self.version = hashlib.sha256(), 0, None

    def finish(self, path: Path) -> None:
        """Give the whole file its name, at once."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(self.path, path)
        self._note.unlink(missing_ok=True)


def key_of(url: str) -> str:
    """What a note says of an address, which can hold secrets."""
    return hashlib.sha256(url.encode()).hexdigest()
