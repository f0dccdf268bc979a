"""Get one file of weights into the store: from a URL, a mirror folder or a local path.

Knows neither models nor torch.
"""

import logging
from pathlib import Path

from segbench.errors import ModelError
from segbench.system.download import download
from segbench.system.files import place, sha256_of
from segbench.system.urls import shown

LOG = logging.getLogger(__name__)


def get_weights(origin: str, sha256: str, path: Path) -> None:
    """Get a file and verify it.

    Args:
        origin: URL, or path of a local file.
        sha256: first digits of the file's SHA-256; empty where nobody says it.
        path: where the file goes.

    Raises:
        SegbenchError: it cannot be got, or it is not the file that was promised.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if "://" in origin:
        download(origin, path, sha256_prefix=sha256 or None)
    else:
        _take(Path(origin), sha256, path)
    if not sha256:
        LOG.warning("%s: its hash is not known, so the file is not verified", shown(origin))


def _take(origin: Path, sha256: str, path: Path) -> None:
    found = sha256_of(origin)
    if not found.startswith(sha256):
        raise ModelError(
            f"{origin}: its SHA-256 starts with {found[:8]}, not with {sha256}, so it is damaged "
            "or another file. Get it again, or correct `sha256`."
        )
    place(origin, path)
    LOG.info("%s: verified, %s", origin, path)
