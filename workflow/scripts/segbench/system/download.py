"""Fetch a file over http or https so that it arrives whole, or not at all.

A download that was cut, even by a kill, goes on where it stopped, as long as the server still has
the same file. Its hash is taken while it arrives, and it gets its name only when that is right.
Knows neither datasets nor weights, and imports no torch.
"""

import logging
import math
import time
from pathlib import Path

import requests

from segbench.errors import DownloadError
from segbench.system.files import alone, sha256_of
from segbench.system.partial_file import MIB, PartialFile
from segbench.system.progress import Progress, duration
from segbench.system.responses import (
    ELSEWHERE,
    CutError,
    StaleError,
    ask,
    is_rest,
    network_errors_told,
    refuse_failure,
    refuse_odd,
    version_of,
)
from segbench.system.urls import shown

LOG = logging.getLogger(__name__)
CHUNK = 2**18
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


def download(
    url: str,
    path: Path,
    *,
    sha256: str | None = None,
    sha256_prefix: str | None = None,
    retries: int = 5,
) -> None:
    """Download a file, unless it is there already with the right hash.

    What has arrived lies in `<path>.part` until all of it is there. Other processes that want the
    same file wait, and then find it.

    Args:
        url: an http or https address.
        path: where the file goes; its folder is made if need be.
        sha256: expected hash, 64 hexadecimal digits.
        sha256_prefix: expected start of the hash.
        retries: attempts in a row that may bring nothing new, after the first one.

    Raises:
        DownloadError: the file cannot be fetched or has another hash; names the URL and a remedy.
    """
    refuse_odd(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone(path.with_name(f".{path.name}.lock")):
        if path.is_file() and _is_expected(sha256_of(path), sha256, sha256_prefix):
            return
        part = PartialFile(path, url)
        try:
            _fetch(url, part, retries)
        except OSError as error:
            raise DownloadError(
                f"{part.path}: cannot be written ({error.strerror or error}), while downloading "
                f"{shown(url)}. Make room or correct the permissions, and run again: it goes on "
                "from there."
            ) from None
        _verify(url, part, sha256, sha256_prefix)
        part.finish(path)
    LOG.info("%s: downloaded, %.1f MiB, %s", shown(url), part.size / MIB, path)


def _verify(url: str, part: PartialFile, sha256: str | None, prefix: str | None) -> None:
    """Remove what is not the promised file, and say so."""
    if _is_expected(part.sha256, sha256, prefix):
        return
    found = f"{part.sha256} ({part.size} bytes)"
    part.remove()
    raise DownloadError(
        f"{shown(url)}: the downloaded file is another one than expected, and was removed: its "
        f"SHA-256 is {found}, expected {sha256 or f'{prefix}...'}. Correct the hash if the file "
        f"was renewed on purpose and you trust it; otherwise {ELSEWHERE}."
    )


def _fetch(url: str, part: PartialFile, retries: int) -> None:
    """Attempt until everything is there; an attempt that brought something does not count."""
    failures, most = 0, part.size
    with requests.Session() as session:
        while not part.is_complete:
            try:
                return _attempt(session, url, part)
            except CutError as error:
                # a server that always starts over must not keep us here for ever
                failures = 0 if part.size > most else failures + 1
                most = max(most, part.size)
                if failures > retries:
                    raise DownloadError(
                        f"{shown(url)}: could not be downloaded in {failures} attempts ({error}). "
                        "Run again: it goes on from what has arrived. Where there is no access to "
                        f"the internet, {ELSEWHERE}."
                    ) from None
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** max(failures - 1, 0))
                pause = pause if error.pause is None else min(LONGEST_PAUSE, error.pause)
                LOG.warning(
                    "%s: %s; once more in %s, from %.1f MiB on",
                    shown(url), error, duration(pause), part.size / MIB,
                )  # fmt: skip
                time.sleep(pause)


def _attempt(session: requests.Session, url: str, part: PartialFile) -> None:
    """Ask for what is missing, and take what comes.

    Raises:
        CutError: it ended early, in a way that may pass.
        DownloadError: it ended in a way that will not.
    """
    try:
        with (
            network_errors_told(url),
            ask(session, url, part.size, part.version) as response,
        ):
            refuse_failure(url, response)
            if not is_rest(response, part.size, part.version):
                part.start_over(version_of(url, response))
            _receive(url, response, part)
    except StaleError:
        part.remove()
        raise


def _receive(url: str, response: requests.Response, part: PartialFile) -> None:
    """Append the body of a response to the part."""
    total = part.version.size if part.version else None
    if part.size:
        LOG.info("%s: going on from %.1f MiB", shown(url), part.size / MIB)
    name = part.path.name.removesuffix(".part")
    progress = Progress(name, math.ceil((total or 0) / MIB), "MiB", start=part.size // MIB)
    with part.opened() as file:
        while chunk := response.raw.read1(CHUNK, decode_content=False):
            part.append(file, chunk)
            if total is not None and part.size < total:
                progress.reach(part.size // MIB)
    if total is not None and part.size != total:
        kind = StaleError if part.size > total else CutError
        raise kind(f"the connection ended after {part.size} of {total} bytes")


def _is_expected(found: str, sha256: str | None, prefix: str | None) -> bool:
    whole = sha256 is None or found == sha256.lower()
    return whole and found.startswith((prefix or "").lower())
