"""A dataset that is named by its URL, really downloaded from a server on loopback."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import FileServer, serving
from helpers import Checkout
from layouts import idd_lite

PREPARED = "results/datasets/idd_lite"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small archive in the layout of IDD Lite, with 2 MiB that no pattern asks for."""
    folder = tmp_path_factory.mktemp("idd_lite")
    idd_lite(folder / "raw")
    (folder / "raw/idd20k_lite/padding").write_bytes(os.urandom(2 * 2**20))
    with tarfile.open(folder / "idd_lite.tar", "w") as tar:
        tar.add(folder / "raw/idd20k_lite", arcname="idd20k_lite")
    return (folder / "idd_lite.tar").read_bytes()


@pytest.fixture
def server(archive: bytes) -> Iterator[FileServer]:
    with serving(files={"idd_lite.tar": archive}) as started:
        yield started


def describe(checkout: Checkout, server: FileServer, sha256: str) -> Path:
    """Make IDD Lite's description name the server; the place of the download."""
    path = "config/datasets/idd_lite.yaml"
    source = f"{{url: '{server.url('idd_lite.tar')}', sha256: '{sha256}'}}"
    checkout.edit(path, "source: ../shared/data/idd20k_lite.tar.gz", f"source: {source}")
    return checkout.root / f"resources/data/{sha256[:16]}/idd_lite.tar"


ARGUMENTS = (
    "--cores", "2", "prepare",
    "--config", "dataset=config/datasets/idd_lite.yaml", "initializations=[scratch]",
)  # fmt: skip


def test_a_download_is_repeated_until_it_is_whole_and_then_kept(checkout, server, archive):
    server.statuses, server.cuts = [503], [500_000]
    path = describe(checkout, server, hashlib.sha256(archive).hexdigest())
    checkout.run(*ARGUMENTS, expect=0)
    assert path.read_bytes() == archive
    assert [request.range for request in server.requests] == [None, None, "bytes=500000-"]
    manifest = json.loads((checkout.root / PREPARED / "manifest.json").read_text())
    assert manifest["splits"]["val"]["images"] > 0
    assert manifest["source"]["url"] == server.url("idd_lite.tar")
    # another address of the same file is no reason to fetch or unpack it again
    checkout.edit("config/datasets/idd_lite.yaml", "idd_lite.tar'", "idd_lite.tar?mirror=1'")
    planned = set(checkout.pending(*ARGUMENTS[2:]).values())
    assert planned & {"download_dataset", "obtain_dataset"} == set()


def test_a_wrong_hash_stops_before_anything_is_unpacked(checkout, server, archive):
    path = describe(checkout, server, "0" * 64)
    done = checkout.run(*ARGUMENTS)
    assert done.returncode != 0
    for part in (hashlib.sha256(archive).hexdigest(), "0" * 64, server.url("idd_lite.tar")):
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert not path.exists()
    assert not (checkout.root / "resources/datasets").exists()


def test_a_killed_workflow_goes_on_with_the_download(checkout, server, archive):
    path = describe(checkout, server, hashlib.sha256(archive).hexdigest())
    server.pause = 0.1
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "snakemake"), *ARGUMENTS],
        cwd=checkout.root, start_new_session=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    part = path.with_name("idd_lite.tar.part")
    deadline = time.monotonic() + 60
    while not part.is_file() or part.stat().st_size < 300_000:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    there = part.stat().st_size
    server.pause = 0
    checkout.run("--unlock", *ARGUMENTS[2:], expect=0)
    checkout.run(*ARGUMENTS, expect=0)
    assert path.read_bytes() == archive
    assert server.requests[-1].range == f"bytes={there}-"
    assert server.requests[-1].sent == len(archive) - there
    assert (checkout.root / PREPARED / "manifest.json").exists()


def test_a_bundle_brings_it_to_a_machine_without_a_route(checkout, server, archive, tmp_path):
    alone = ["unshare", "-n"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make a network namespace")
    describe(checkout, server, hashlib.sha256(archive).hexdigest())
    far = Checkout.copy_of(checkout.root, tmp_path / "far")
    checkout.run("--cores", "1", "fetch", *ARGUMENTS[3:], expect=0)
    fetched = (checkout.root / "resources/fetched.txt").read_text().split()
    (tmp_path / "bundle/wheels").mkdir(parents=True)
    for place, words in (
        (checkout.root, ["add", tmp_path / "bundle", *fetched]),
        (far.root, ["take", tmp_path / "bundle"]),
    ):
        command = [*alone, sys.executable, "-m", "segbench", "bundle", *words]
        subprocess.run(command, cwd=place, check=True, capture_output=True)
    served = len(server.requests)
    snakemake = [*alone, str(Path(sys.executable).parent / "snakemake"), *ARGUMENTS]
    done = subprocess.run(snakemake, cwd=far.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (far.root / PREPARED / "manifest.json").is_file()
    assert len(server.requests) == served
