"""Remember what was made of each frame, so that unchanged files are not read again.

Lies beside the prepared dataset, not in it: Snakemake removes a rule's outputs before it runs the
rule again. What is remembered holds for one way of reading only; another description of the
labels, other code or other versions of the decoders start afresh.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from segbench.datasets.description import DatasetDescription
from segbench.datasets.findings import Fault
from segbench.datasets.frames import Known, Outcome, kept_name
from segbench.system.code_digest import code_digest

LOG = logging.getLogger(__name__)
INDEX = "frames.json"
DECODERS = ("pillow", "numpy", "orjson")


class Memory:
    """What former preparations of a dataset made of its frames.

    Args:
        folder: where to remember; None remembers nothing.
        description: says how the files are read.
        root: folder that the paths of the frames are relative to.
    """

    def __init__(self, folder: Path | None, description: DatasetDescription, root: Path) -> None:
        self._base = folder
        self.folder: Path | None = None
        self._known: dict[str, Any] = {}
        if folder is not None:
            self.folder = folder / _key(description, root)
            self.folder.mkdir(parents=True, exist_ok=True)
            self._known = self._load(self.folder / INDEX)

    def known(self, image: str) -> Known | None:
        """What is known of a frame, by the path of its image."""
        entry = self._known.get(image)
        if entry is None:
            return None
        values = [*map(_with_tuples, entry)]
        values[-1] = tuple(Fault(*warning) for warning in values[-1])
        return Known(*values)

    def remember(self, frames: Iterable[tuple[str, Outcome]]) -> None:
        """Replace what is known by what was found now, and forget all else.

        Args:
            frames: path of the image and outcome of each frame.
        """
        if self.folder is None or self._base is None:
            return
        index = {image: _entry(outcome.known) for image, outcome in frames if outcome.known}
        new = self.folder / f"{INDEX}.new"
        new.write_text(json.dumps(index))
        new.replace(self.folder / INDEX)
        wanted = {INDEX, *map(kept_name, index)}
        for path in self.folder.iterdir():
            if path.name not in wanted:
                path.unlink()
        for other in self._base.iterdir():
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)

    @staticmethod
    def _load(path: Path) -> dict[str, Any]:
        try:
            loaded = json.loads(path.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            LOG.warning("%s: cannot be read; every file is read anew", path)
            return {}
        return loaded if isinstance(loaded, dict) else {}


def _key(description: DatasetDescription, root: Path) -> str:
    """Digest of everything but a frame's files that shapes what is made of it."""
    parts = [
        code_digest(Path(__file__).with_name("prepare.py")),
        *(f"{name} {version(name)}" for name in DECODERS),
        str(root.resolve()),
        description.model_dump_json(include={"images", "labels", "classes", "max_image_pixels"}),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _entry(known: Known) -> list[Any]:
    return [getattr(known, name) for name in Known.__slots__]


def _with_tuples(value: Any) -> Any:
    """What JSON made lists of as tuples again."""
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
