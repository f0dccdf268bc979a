"""Fetch a file over http or https so that it arrives whole, or not at all.

A download that was cut, even by a kill, goes on where it stopped, as long as the server still has
the same file. Its hash is taken while it arrives, and it gets its name only when that is right.
Knows neither datasets nor weights, and imports no torch.
"""

import hashlib
import json
import logging
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError as TransportError

from segbench.errors import DownloadError
from segbench.system.files import alone, sha256_of
from segbench.system.progress import Progress, duration
from segbench.system.urls import shown, url_problem

LOG = logging.getLogger(__name__)
MIB = 2**20
CHUNK = 2**18
TIMEOUT = (20.0, 60.0)  # seconds to connect, and without a byte
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
MAX_REDIRECTS = 10
# asked for again later, these may well succeed
TRANSIENT = {408, 425, 429}
ELSEWHERE = "get the file by other means and name its local path, or a mirror that has it, instead"


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
    _refuse_odd(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    with alone(path.with_name(f".{path.name}.lock")):
        if path.is_file() and _is_expected(sha256_of(path), sha256, sha256_prefix):
            return
        part = _Part(path, url)
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


def _verify(url: str, part: "_Part", sha256: str | None, prefix: str | None) -> None:
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


@dataclass(frozen=True, slots=True)
class _Version:
    """Which file the server gave: how to ask for the very same one again, and its size."""

    url: str  # its hash, because an address can hold secrets
    validator: str | None
    size: int | None

    @classmethod
    def of(cls, url: str, response: requests.Response) -> "_Version":
        """The version that a response with a whole file tells of."""
        length = response.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else None
        return cls(_key(url), _validator(response), size)


class _Part:
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
        if self.version and self.version.url == _key(url) and self.version.validator:
            self._read_in()

    def _read_note(self) -> _Version | None:
        try:
            return _Version(**json.loads(self._note.read_text(encoding="utf-8")))
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

    def start_over(self, version: _Version) -> None:
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


class _CutError(Exception):
    """An attempt failed in a way that a further one may mend.

    Args:
        reason: what happened.
        pause: seconds that the server asks to wait, if it said so.
    """

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


def _fetch(url: str, part: _Part, retries: int) -> None:
    """Attempt until everything is there; an attempt that brought something does not count."""
    failures, most = 0, part.size
    with requests.Session() as session:
        while not part.is_complete:
            try:
                return _attempt(session, url, part)
            except _CutError as error:
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


def _attempt(session: requests.Session, url: str, part: _Part) -> None:
    """Ask for what is missing, and take what comes.

    Raises:
        _CutError: it ended early, in a way that may pass.
        DownloadError: it ended in a way that will not.
    """
    # an encoding for the transport would change the bytes that the hash is of
    headers = {"Accept-Encoding": "identity", "User-Agent": "segbench"}
    if part.size and part.version and part.version.validator:
        headers |= {"Range": f"bytes={part.size}-", "If-Range": part.version.validator}
    try:
        with _open(session, url, headers) as response:
            _judge(url, response, part)
            if not _goes_on(response, part):
                part.start_over(_Version.of(url, response))
            _receive(url, response, part)
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE" not in str(error).upper():
            raise _CutError(_reason(error)) from None
        raise DownloadError(
            f"{shown(url)}: the server's certificate cannot be trusted ({_reason(error)}). Check "
            f"this machine's clock and certificates, or {ELSEWHERE}."
        ) from None
    except (requests.ConnectionError, requests.Timeout, TransportError) as error:
        raise _CutError(_reason(error)) from None
    except requests.RequestException as error:
        raise DownloadError(f"{shown(url)}: {error}. Correct the URL.") from None


def _open(session: requests.Session, url: str, headers: dict[str, str]) -> requests.Response:
    """Follow redirects, but never to where what is sent can be read or changed on its way."""
    origin = url
    for _ in range(MAX_REDIRECTS):
        response = session.get(
            url, headers=headers, stream=True, timeout=TIMEOUT, allow_redirects=False
        )
        location = session.get_redirect_target(response)
        if location is None:
            return response
        response.close()
        secure, url = urlsplit(url).scheme == "https", urljoin(url, location)
        _refuse_odd(url)
        if secure and urlsplit(url).scheme != "https":
            raise DownloadError(
                f"{shown(origin)}: redirects from https to {shown(url)}, which is not encrypted; "
                f"refused. Correct the URL, or {ELSEWHERE}."
            )
    raise DownloadError(f"{shown(origin)}: redirects in a circle. Correct the URL.")


def _judge(url: str, response: requests.Response, part: _Part) -> None:
    """Raise where the server did not send the file or a piece of it."""
    status = response.status_code
    if status in (200, 206):
        return
    answer = f"the server answered {status} {response.reason}"
    if status == 416 and part.size:
        part.remove()
        raise _CutError(f"{answer} to a request for the rest")
    if status >= 500 or status in TRANSIENT:
        wait = response.headers.get("Retry-After", "")
        raise _CutError(answer, float(wait) if wait.isdecimal() else None)
    raise DownloadError(f"{shown(url)}: {answer}. Correct the URL, or {ELSEWHERE}.")


def _goes_on(response: requests.Response, part: _Part) -> bool:
    """Whether a response is the rest of the very file of which a part is here.

    Raises:
        _CutError: it is a piece of another file, or another piece.
    """
    if response.status_code == 200:
        return False
    begin, _, total = response.headers.get("Content-Range", "").partition("/")
    version = part.version
    if version is not None and begin.startswith(f"bytes {part.size}-"):
        same = _validator(response) in (None, version.validator)
        if same and (total == "*" or version.size is None or total == str(version.size)):
            return True
    part.remove()
    raise _CutError("the file has changed on the server meanwhile")


def _receive(url: str, response: requests.Response, part: _Part) -> None:
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
        reached = part.size
        if reached > total:
            part.remove()
        raise _CutError(f"the connection ended after {reached} of {total} bytes")


def _validator(response: requests.Response) -> str | None:
    """What identifies the version of the file; a weak tag may stand for other bytes."""
    tag: str | None = response.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified")


def _refuse_odd(url: str) -> None:
    if problem := url_problem(url, is_recorded=False):
        raise DownloadError(
            f"{problem}. Correct the URL; a file on this machine is named by its path alone."
        )


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def _is_expected(found: str, sha256: str | None, prefix: str | None) -> bool:
    whole = sha256 is None or found == sha256.lower()
    return whole and found.startswith((prefix or "").lower())


def _reason(error: Exception) -> str:
    """The innermost reason of nested network errors, without their addresses."""
    inner = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)
    return str(inner).rpartition("): ")[2] or type(error).__name__
