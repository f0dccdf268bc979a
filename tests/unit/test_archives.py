"""Archives are unpacked, and dangerous ones are refused with nothing written outside."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from segbench.datasets import archives
from segbench.datasets.archives import unpack
from segbench.errors import DataError


def tar(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def outside(folder: Path) -> list[Path]:
    """Everything in the parent of `folder` that is neither it nor the archive."""
    return [p for p in folder.parent.iterdir() if p != folder and p.suffix not in (".gz", ".zip")]


def test_a_tar_is_unpacked(tmp_path):
    archive = tar(tmp_path / "a.tar.gz", (member("d/x.txt"), b"one"), (member("y.txt"), b"two"))
    assert unpack(archive, tmp_path / "out") == 2
    assert (tmp_path / "out/d/x.txt").read_bytes() == b"one"


def test_a_zip_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("d/x.txt", "one")
    assert unpack(tmp_path / "a.zip", tmp_path / "out") == 1
    assert (tmp_path / "out/d/x.txt").read_bytes() == b"one"


@pytest.mark.parametrize("mode", ["gz", "bz2", "xz"])
def test_every_usual_compression_is_unpacked(tmp_path, mode):
    path = tmp_path / f"a.tar.{mode}"
    with tarfile.open(path, f"w:{mode}") as archive:
        archive.addfile(member("x"), io.BytesIO())
    assert unpack(path, tmp_path / "out") == 1


@pytest.mark.parametrize("name", ["/evil.txt", "../evil.txt", "a/../../evil.txt", "..\\evil.txt"])
def test_a_path_outside_is_refused(tmp_path, name):
    archive = tar(tmp_path / "a.tar.gz", (member("good.txt"), b"x"), (member(name), b"bad"))
    with pytest.raises(DataError, match=r"a\.tar\.gz.*outside its folder"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert outside(tmp_path / "out") == []


def test_a_zip_with_a_path_outside_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../evil.txt", "bad")
    with pytest.raises(DataError, match="outside its folder"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert outside(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("kind", "link", "named"),
    [
        (tarfile.SYMTYPE, "/etc/passwd", "link"),
        (tarfile.LNKTYPE, "../../etc/passwd", "link"),
        (tarfile.CHRTYPE, "", "special file"),
        (tarfile.FIFOTYPE, "", "special file"),
    ],
)
def test_links_and_devices_are_refused(tmp_path, kind, link, named):
    archive = tar(tmp_path / "a.tar.gz", (member("thing", kind, link), b""))
    with pytest.raises(DataError, match=f"holds a {named}, 'thing'"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_archive_that_unpacks_to_far_more_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "NEVER_REFUSED_BYTES", 10_000)
    archive = tar(tmp_path / "a.tar.gz", (member("zeros"), b"\0" * 3_000_000))
    with pytest.raises(DataError, match="far beyond its size"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_truncated_archive_is_reported(tmp_path):
    archive = tar(tmp_path / "a.tar.gz", (member("x"), bytes(range(256)) * 4000))
    archive.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"a\.tar\.gz: the archive is damaged.*Download it again"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_archive_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"gone\.tar: no such archive.*dataset_sources"):
        unpack(tmp_path / "gone.tar", tmp_path / "out")


def test_a_wrong_checksum_is_noticed(tmp_path):
    """The stream ends well, but its content was changed on the way."""
    archive = tar(tmp_path / "a.tar.gz", (member("x"), b"content"))
    data = bytearray(archive.read_bytes())
    data[-8] ^= 1
    archive.write_bytes(data)
    with pytest.raises(DataError, match="damaged or incomplete"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("names", [("a", "a"), ("a", "a/b")])
def test_a_name_that_comes_twice_is_refused(tmp_path, names):
    archive = tar(tmp_path / "a.tar.gz", *((member(name), b"x") for name in names))
    with pytest.raises(DataError, match="in the archive twice, or is file and folder"):
        unpack(archive, tmp_path / "out")


def test_a_zip_with_a_damaged_stream_is_reported(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.txt", "one two three " * 50)
    data = bytearray(path.read_bytes())
    data[40:60] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(DataError, match="damaged"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_tar_that_is_cut_between_two_files_is_refused(tmp_path):
    """Nothing in what is left is damaged; only the mark at the end is missing."""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("x", "y"):
            info = member(name)
            info.size = 512
            archive.addfile(info, io.BytesIO(bytes(512)))
    whole = path.read_bytes()
    path.write_bytes(whole[:1024])
    with pytest.raises(DataError, match=r"a\.tar: .*stops before its end mark.*Download it again"):
        unpack(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    path.write_bytes(whole)
    assert unpack(path, tmp_path / "out") == 2
