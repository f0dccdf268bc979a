"""Downloads arrive whole or not at all, from a real server on loopback."""

import hashlib
import random
import shutil
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from file_server import serving

from segbench.errors import DownloadError, SegbenchError
from segbench.system import download as module
from segbench.system.download import download

CONTENT = random.Random(0).randbytes(3 * 2**20 + 12345)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OTHER = random.Random(1).randbytes(len(CONTENT))


@pytest.fixture
def server(monkeypatch):
    # the pauses themselves are tested on their own
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    with serving(files={"a.zip": CONTENT, "empty": b""}) as started:
        yield started


def left_in(folder):
    return {path.name for path in folder.iterdir() if path.suffix != ".lock"}


def ranges(server):
    return [request.range for request in server.requests]


def test_a_file_arrives_whole_and_alone(server, tmp_path):
    path = tmp_path / "new/folder/a.zip"
    download(server.url("a.zip"), path, sha256=SHA256.upper())
    assert path.read_bytes() == CONTENT
    assert left_in(path.parent) == {"a.zip"}
    # it is there: nothing is asked again
    download(server.url("a.zip"), path, sha256_prefix=SHA256[:8])
    assert len(server.requests) == 1
    download(server.url("empty"), tmp_path / "empty")
    assert (tmp_path / "empty").read_bytes() == b""


def test_a_file_of_another_hash_is_replaced(server, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"an older one")
    download(server.url("a.zip"), tmp_path / "a.zip", sha256=SHA256)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("tags", [True, False])
def test_a_cut_download_goes_on_where_it_stopped(server, tmp_path, tags):
    server.tags = tags
    server.cuts = [1_000_000, 500_000]
    download(server.url("a.zip"), tmp_path / "a.zip", sha256=SHA256)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=1000000-", "bytes=1500000-"]
    # no byte was sent twice
    assert sum(request.sent for request in server.requests) == len(CONTENT)
    assert left_in(tmp_path) == {"a.zip"}


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(server, tmp_path):
    server.cuts = [1_000_000, 0, 0]
    with pytest.raises(DownloadError, match="goes on from what has arrived"):
        download(server.url("a.zip"), tmp_path / "a.zip", sha256=SHA256, retries=1)
    assert left_in(tmp_path) == {"a.zip.part", "a.zip.part.json"}
    download(server.url("a.zip"), tmp_path / "a.zip", sha256=SHA256)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert ranges(server)[-1] == "bytes=1000000-"
    assert server.requests[-1].sent == len(CONTENT) - 1_000_000


def test_a_server_without_ranges_is_asked_for_everything_again(server, tmp_path):
    server.ranges, server.cuts = False, [1_000_000]
    download(server.url("a.zip"), tmp_path / "a.zip", sha256=SHA256)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.requests[-1].sent == len(CONTENT)


def test_a_server_that_always_cuts_is_given_up(server, tmp_path):
    server.ranges, server.cuts = False, [1_000_000] * 20
    with pytest.raises(DownloadError, match="could not be downloaded in 3 attempts"):
        download(server.url("a.zip"), tmp_path / "a.zip", retries=2)
    assert len(server.requests) == 4


def test_a_file_that_changed_meanwhile_is_not_patched_together(server, tmp_path):
    server.cuts = [1_000_000, 0]
    with pytest.raises(DownloadError):
        download(server.url("a.zip"), tmp_path / "a.zip", retries=0)
    server.files["a.zip"] = OTHER
    download(server.url("a.zip"), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == OTHER
    assert server.requests[-1].if_range == f'"{hashlib.md5(CONTENT).hexdigest()}"'


def test_the_rest_of_another_address_is_not_used(server, tmp_path):
    server.files["b.zip"] = OTHER
    server.cuts = [1_000_000, 0]
    with pytest.raises(DownloadError):
        download(server.url("a.zip"), tmp_path / "a.zip", retries=0)
    download(server.url("b.zip"), tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == OTHER
    assert server.requests[-1].range is None


@pytest.mark.parametrize("status", [404, 403, 410])
def test_a_refusal_is_final(server, tmp_path, status):
    server.statuses = [status]
    with pytest.raises(DownloadError, match=rf"a\.zip: the server answered {status} .*Correct the"):
        download(server.url("a.zip"), tmp_path / "a.zip")
    assert len(server.requests) == 1
    assert left_in(tmp_path) == set()


@pytest.mark.parametrize("status", [503, 500, 429])
def test_a_server_in_trouble_is_asked_again(server, tmp_path, status):
    server.statuses = [status, status]
    download(server.url("a.zip"), tmp_path / "a.zip", sha256=SHA256)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_pauses_grow_and_have_a_bound(server, tmp_path, monkeypatch):
    server.cuts = [0] * 9
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.04)
    pauses = []
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=pauses.append))
    with pytest.raises(DownloadError, match="in 6 attempts"):
        download(server.url("a.zip"), tmp_path / "a.zip")
    assert pauses == [0.01, 0.02, 0.04, 0.04, 0.04]


@pytest.mark.parametrize(
    ("expected", "said"),
    [({"sha256": "0" * 64}, "0" * 64), ({"sha256_prefix": "deadbeef"}, "deadbeef...")],
)
def test_a_wrong_hash_removes_the_file_and_says_both(server, tmp_path, expected, said):
    with pytest.raises(DownloadError) as error:
        download(server.url("a.zip"), tmp_path / "a.zip", **expected)
    message = str(error.value)
    for part in (SHA256, said, server.url("a.zip"), "Correct the hash if"):
        assert part in message
    assert left_in(tmp_path) == set()


def test_a_missing_server_is_reported_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://user:secret@127.0.0.1:{unused.getsockname()[1]}/a.zip"
        with pytest.raises(SegbenchError) as error:
            download(url, tmp_path / "a.zip", retries=1)
    message = str(error.value)
    assert "Connection refused" in message
    assert "name its local path, or a mirror" in message
    assert "secret" not in message


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x.org/a", "a.zip", "http:///a", "http://[/a", "data:,a"]
)
def test_other_addresses_are_refused(tmp_path, url):
    with pytest.raises(DownloadError, match=r"only http:// and https://|is not an address"):
        download(url, tmp_path / "a")


def test_redirects_are_followed_but_not_to_other_schemes(server, tmp_path):
    server.redirects = {"here": "/a.zip", "bad": "file:///etc/passwd", "round": "/round"}
    download(server.url("here"), tmp_path / "a.zip", sha256=SHA256)
    with pytest.raises(DownloadError, match="only http:// and https://"):
        download(server.url("bad"), tmp_path / "b")
    with pytest.raises(DownloadError, match="redirects in a circle"):
        download(server.url("round"), tmp_path / "b")


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A certificate for loopback, which requests trusts, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("needs openssl to make a certificate")
    path, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-out", path, "-keyout", key],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    return path, key


def test_a_redirect_never_leaves_encryption(certificate, server, tmp_path):
    with serving(certificate=certificate, files={"a.zip": CONTENT}) as secure:
        secure.redirects = {"there": server.url("a.zip"), "here": secure.url("a.zip")}
        download(secure.url("here"), tmp_path / "a.zip", sha256=SHA256)
        with pytest.raises(DownloadError, match=r"redirects from https to http://.*refused"):
            download(secure.url("there"), tmp_path / "b.zip")
        # from http to https is no loss
        server.redirects = {"up": secure.url("a.zip")}
        download(server.url("up"), tmp_path / "c.zip", sha256=SHA256)
    assert server.requests[-1].path == "up"


def test_a_certificate_that_nobody_knows_is_refused(certificate, tmp_path, monkeypatch):
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    refused = pytest.raises(DownloadError, match=r"certificate cannot be trusted .*self-signed")
    with serving(certificate=certificate, files={"a.zip": CONTENT}) as secure, refused:
        download(secure.url("a.zip"), tmp_path / "a.zip")


PROGRAM = """
import sys
from pathlib import Path
from segbench.system.download import download
download(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3])
"""


def started(server, path):
    command = [sys.executable, "-c", PROGRAM, server.url("a.zip"), str(path), SHA256]
    folder = module.__file__.rpartition("/segbench/")[0]
    return subprocess.Popen(command, env={"PYTHONPATH": folder})


def wait_for_part(path, size):
    part = path.with_name(path.name + ".part")
    deadline = time.monotonic() + 30
    while not part.is_file() or part.stat().st_size < size:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_killed_download_goes_on(server, tmp_path):
    server.pause = 0.05
    process = started(server, tmp_path / "a.zip")
    wait_for_part(tmp_path / "a.zip", 500_000)
    process.kill()
    process.wait()
    there = (tmp_path / "a.zip.part").stat().st_size
    assert 0 < there < len(CONTENT)
    server.pause = 0
    download(server.url("a.zip"), tmp_path / "a.zip", sha256=SHA256)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert server.requests[-1].range == f"bytes={there}-"
    assert server.requests[-1].sent == len(CONTENT) - there


def test_a_download_killed_after_the_last_byte_is_only_finished(server, tmp_path):
    server.cuts = [1000, 0]
    with pytest.raises(DownloadError):
        download(server.url("a.zip"), tmp_path / "a.zip", retries=0)
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    asked = len(server.requests)
    download(server.url("a.zip"), tmp_path / "a.zip", sha256=SHA256)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert len(server.requests) == asked


def test_two_processes_that_want_the_same_file_fetch_it_once(server, tmp_path):
    server.pause = 0.01
    processes = [started(server, tmp_path / "a.zip") for _ in range(2)]
    assert [process.wait(timeout=60) for process in processes] == [0, 0]
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert len(server.requests) == 1
