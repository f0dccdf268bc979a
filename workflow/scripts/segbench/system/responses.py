"""Ask a server for a file or the rest of one, and judge what it answers.

Knows HTTP, and nothing of the disk.
"""

import contextlib
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError as TransportError

from segbench.errors import DownloadError
from segbench.system.partial_file import Version, key_of
from segbench.system.urls import shown, url_problem

TIMEOUT = (20.0, 60.0)  # seconds to connect, and without a byte
MAX_REDIRECTS = 10
# asked for again later, these may well succeed
TRANSIENT = {408, 425, 429}
ELSEWHERE = "get the file by other means and name its local path, or a mirror that has it, instead"


class CutError(Exception):
    """An attempt failed in a way that a further one may mend.

    Args:
        reason: what happened.
        pause: seconds that the server asks to wait, if it said so.
    """

    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.pause = pause


class StaleError(CutError):
    """What has arrived so far is of no use; another attempt must begin with nothing."""


def ask(
    session: requests.Session, url: str, begin: int, version: Version | None
) -> requests.Response:
    """Ask for a file from a byte on; with the head of the answer, before its body.

    Args:
        session: to ask in.
        url: the file's address; redirects are followed, but never to where what is sent can be
            read or changed on its way.
        begin: number of bytes that are here already.
        version: of which version they are; only the rest of that one is asked for.

    Raises:
        DownloadError: a redirect is refused.
        requests.RequestException: there is no answer.
    """
    # an encoding for the transport would change the bytes that the hash is of
    headers = {"Accept-Encoding": "identity", "User-Agent": "segbench"}
    if begin and version and version.validator:
        headers |= {"Range": f"bytes={begin}-", "If-Range": version.validator}
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
        refuse_odd(url)
        if secure and urlsplit(url).scheme != "https":
            raise DownloadError(
                f"{shown(origin)}: redirects from https to {shown(url)}, which is not encrypted; "
                f"refused. Correct the URL, or {ELSEWHERE}."
            )
    raise DownloadError(f"{shown(origin)}: redirects in a circle. Correct the URL.")


def refuse_failure(url: str, response: requests.Response) -> None:
    """Raise where the server sent neither the file nor a piece of it.

    Raises:
        CutError: another attempt may succeed.
        DownloadError: no other attempt will.
    """
    status = response.status_code
    if status in (200, 206):
        return
    answer = f"the server answered {status} {response.reason}"
    if status == 416 and "Range" in response.request.headers:
        raise StaleError(f"{answer} to a request for the rest")
    if status >= 500 or status in TRANSIENT:
        wait = response.headers.get("Retry-After", "")
        raise CutError(answer, float(wait) if wait.isdecimal() else None)
    raise DownloadError(f"{shown(url)}: {answer}. Correct the URL, or {ELSEWHERE}.")


def is_rest(response: requests.Response, begin: int, version: Version | None) -> bool:
    """Whether an answer is the rest of a file, rather than the whole of it.

    Args:
        response: what the server answered.
        begin: number of bytes that are here already.
        version: of which version they are.

    Raises:
        StaleError: it is a piece of another file, or another piece.
    """
    if response.status_code == 200:
        return False
    place, _, total = response.headers.get("Content-Range", "").partition("/")
    if version is not None and place.startswith(f"bytes {begin}-"):
        same = _validator(response) in (None, version.validator)
        if same and (total == "*" or version.size is None or total == str(version.size)):
            return True
    raise StaleError("the file has changed on the server meanwhile")


def version_of(url: str, response: requests.Response) -> Version:
    """The version that an answer with a whole file tells of."""
    length = response.headers.get("Content-Length", "")
    return Version(key_of(url), _validator(response), int(length) if length.isdecimal() else None)


@contextlib.contextmanager
def network_errors_told(url: str) -> Iterator[None]:
    """Tell what may pass from what must be mended.

    Raises:
        CutError: the network failed in a way that may pass.
        DownloadError: it failed in a way that will not; says what to do.
    """
    try:
        yield
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE" not in str(error).upper():
            raise CutError(_reason(error)) from None
        raise DownloadError(
            f"{shown(url)}: the server's certificate cannot be trusted ({_reason(error)}). Check "
            f"this machine's clock and certificates, or {ELSEWHERE}."
        ) from None
    except (requests.ConnectionError, requests.Timeout, TransportError) as error:
        raise CutError(_reason(error)) from None
    except requests.RequestException as error:
        raise DownloadError(f"{shown(url)}: {error}. Correct the URL.") from None


def refuse_odd(url: str) -> None:
    """Refuse what is not an address of a file on a server.

    Raises:
        DownloadError: says what is wrong with it.
    """
    if problem := url_problem(url, is_recorded=False):
        raise DownloadError(
            f"{problem}. Correct the URL; a file on this machine is named by its path alone."
        )


def _validator(response: requests.Response) -> str | None:
    """What identifies the version of the file; a weak tag may stand for other bytes."""
    tag: str | None = response.headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified")


def _reason(error: Exception) -> str:
    """The innermost reason of nested network errors, without their addresses."""
    inner = error.args[0] if error.args else error
    inner = getattr(inner, "reason", inner)
    return str(inner).rpartition("): ")[2] or type(error).__name__
