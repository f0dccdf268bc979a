"""What was read of modules, by their text, kept for later processes.

Reading the whole library as syntax trees takes longer than anything else in a small plan, and it
changes only when a text does. What was read lies where Python keeps what it compiled.
"""

import contextlib
import functools
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER, NAME = "__pycache__", "meanings.json"
READABLE = 0o644  # by others who share the library, too
MOST = 1000  # texts; those of old versions of modules are dropped when there are more


class KeptCode:
    """What was read of each text, in a file among Python's compiled modules.

    Args:
        library: the folder of the package.
        reader: text of the module that reads, another version of which reads something else.
    """

    def __init__(self, library: Path, reader: bytes) -> None:
        # what an import stands for depends on which modules there are
        modules = sorted(str(path.relative_to(library)) for path in library.rglob("*.py"))
        self._made_by = digest_of(reader, sys.version.encode(), "\n".join(modules).encode())
        self._path = library / FOLDER / NAME
        self._texts: dict[str, Any] = self._read()
        self._used, self._has_new = set[str](), False

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_bytes())
            texts: dict[str, Any] = content["texts"]
            if content["made_by"] == self._made_by and content["sha256"] == _sha256_of(texts):
                return texts
        except (OSError, ValueError, KeyError, TypeError):
            pass  # none yet, or a damaged one
        return {}

    def get(self, key: str) -> Any:
        """What was read of the text with a digest; None if it was not read before."""
        self._used.add(key)
        return self._texts.get(key)

    def add(self, key: str, content: object) -> None:
        """Keep what was read of a text, in a form that JSON has."""
        self._texts[key] = content
        self._has_new = True

    def write(self) -> None:
        """Write what is new for later processes, where that is possible."""
        if not self._has_new:
            return
        self._has_new = False
        if len(self._texts) > MOST:
            self._texts = {key: self._texts[key] for key in self._used & self._texts.keys()}
        texts = self._texts
        content = json.dumps(
            {"made_by": self._made_by, "sha256": _sha256_of(texts), "texts": texts}
        )
        with contextlib.suppress(OSError):  # a library that cannot be written is read each time
            self._path.parent.mkdir(exist_ok=True)
            handle, part = tempfile.mkstemp(dir=self._path.parent, prefix=NAME)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(content)
                Path(part).chmod(READABLE)
                os.replace(part, self._path)
            except BaseException:
                Path(part).unlink(missing_ok=True)
                raise


def _sha256_of(texts: object) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()


@functools.cache
def kept_code(library: Path, reader: Path) -> KeptCode:
    """What this process and earlier ones read of a library; `reader` is the module that reads."""
    return KeptCode(library, reader.read_bytes())


def digest_of(*texts: bytes) -> str:
    """SHA-256 of texts, as hexadecimal digits."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(len(text).to_bytes(8))
        digest.update(text)
    return digest.hexdigest()
