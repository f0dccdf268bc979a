"""Unpack a dataset archive without trusting it.

An archive can name files outside the folder it is unpacked into, hold links or devices, or
swell to fill the disk. Anything of the kind is refused before a byte is written.
"""

import bz2
import errno
import gzip
import logging
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tarfile import EOFHeaderError  # type: ignore[attr-defined]
from typing import IO, Self, cast

from segbench.errors import DataError

LOG = logging.getLogger(__name__)
MAX_BYTES = 500 * 2**30
MAX_RATIO = 200
MAX_FILES = 5_000_000
NEVER_REFUSED_BYTES = 2**30
CHUNK = 2**20
DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError,
    NotImplementedError, ValueError,
)  # fmt: skip


def unpack(archive: Path, folder: Path, max_files: int = MAX_FILES) -> int:
    """Unpack a `.tar`, `.tar.gz`, `.tgz` or `.zip` archive into a new folder.

    Args:
        archive: the archive.
        folder: where to unpack; holds nothing if unpacking fails.
        max_files: an archive with more entries, folders included, is refused.

    Returns:
        The number of files written.

    Raises:
        DataError: the archive is missing, damaged, or holds something dangerous.
    """
    if not archive.is_file():
        raise DataError(
            f"{archive}: no such archive. Download the dataset and put it there, or say where it "
            "lies with `dataset_sources` in the config."
        )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        reader = _zip_files(archive) if archive.suffix.lower() == ".zip" else _tar_files(archive)
        count = _write_all(archive, _counted(archive, reader, max_files), folder)
    except DAMAGED as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DataError(f"{folder}: no space left to unpack {archive}") from None
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise DataError(
                f"{archive}: holds a name that is longer than the file system of {folder} takes, "
                f"'{Path(str(error.filename)).name[:60]}...'. Unpack it yourself under shorter "
                "names, and let `source` name the folder."
            ) from None
        raise DataError(
            f"{archive}: the archive is damaged or incomplete ({error}). Download it again."
        ) from None
    except DataError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    LOG.info("%s: %d files unpacked into %s", archive, count, folder)
    return count


def _size_limit(archive: Path) -> int:
    """Bytes an archive may unpack to: images hardly shrink, so a large ratio is a bomb."""
    return min(MAX_BYTES, max(NEVER_REFUSED_BYTES, MAX_RATIO * archive.stat().st_size))


class _Tar(tarfile.TarFile):
    """Knows whether its end mark was seen; tarfile takes the end of the file for it."""

    has_ended = False


class _Member(tarfile.TarInfo):
    @classmethod
    def fromtarfile(cls, tarfile: _Tar) -> Self:  # type: ignore[override]
        """Read the next header, and tell the archive of the mark that ends it."""
        try:
            return super().fromtarfile(tarfile)
        except EOFHeaderError:
            tarfile.has_ended = True
            raise


def _tar_files(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Name and content of every entry; no content for a folder."""
    with (
        _decompressed(archive) as stream,
        _Tar.open(fileobj=stream, mode="r|", tarinfo=_Member) as tar,
    ):
        for member in tar:
            if member.isdir():
                yield member.name, None
                continue
            if not member.isfile():
                kind = "link" if member.issym() or member.islnk() else "special file"
                raise DataError(f"{archive}: holds a {kind}, '{member.name}'; refused")
            content = tar.extractfile(member)
            assert content is not None  # a regular file always has one
            yield _safe_name(archive, member.name), content
        if not tar.has_ended:
            raise EOFError("it stops before its end mark, perhaps between two files")
        # the checksum of a compressed stream is at its very end, after the last member
        while stream.read(CHUNK):
            pass


def _decompressed(archive: Path) -> IO[bytes]:
    with archive.open("rb") as raw:
        magic = raw.read(6)
    for start, module in ((b"\x1f\x8b", gzip), (b"BZh", bz2), (b"\xfd7zXZ\x00", lzma)):
        if magic.startswith(start):
            return cast(IO[bytes], module.open(archive))
    return archive.open("rb")


def _zip_files(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Name and content of every entry; no content for a folder."""
    with zipfile.ZipFile(archive) as zipped:
        for info in zipped.infolist():
            if info.is_dir():
                yield info.filename, None
                continue
            if info.flag_bits & 1:
                raise DataError(f"{archive}: is encrypted; unpack it yourself and name the folder")
            with zipped.open(info) as stream:
                yield _safe_name(archive, info.filename), stream


def _counted(
    archive: Path, entries: Iterator[tuple[str, IO[bytes] | None]], max_files: int
) -> Iterator[tuple[str, IO[bytes]]]:
    """The files among the entries, as long as there are not too many of both."""
    for number, (name, content) in enumerate(entries, start=1):
        if number > max_files:
            raise DataError(
                f"{archive}: holds more than {max_files} entries; refused, because they could be "
                "endless. If it is sound, raise `max_files` of `source` in the dataset description."
            )
        if content is not None:
            yield name, content


def _safe_name(archive: Path, name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0]:
        raise DataError(f"{archive}: holds '{name}', a path outside its folder; refused")
    return str(path)


def _write_all(archive: Path, files: Iterator[tuple[str, IO[bytes]]], folder: Path) -> int:
    written = count = 0
    limit = _size_limit(archive)
    for name, stream in files:
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            out = target.open("xb")
        except (FileExistsError, NotADirectoryError):
            raise DataError(
                f"{archive}: '{name}' is in the archive twice, or is file and folder. Make the "
                "archive again, or unpack it yourself and let `source` name the folder."
            ) from None
        with out:
            while chunk := stream.read(CHUNK):
                written += len(chunk)
                if written > limit:
                    raise DataError(
                        f"{archive}: unpacks to more than {limit / 2**30:.0f} GiB (at '{name}'), "
                        "far beyond its size; refused. If it is sound, unpack it yourself and let "
                        "`source` name the folder."
                    )
                out.write(chunk)
        count += 1
    return count
