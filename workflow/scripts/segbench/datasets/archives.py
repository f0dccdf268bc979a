"""Unpack a dataset archive without trusting it.

An archive can name files outside the folder it is unpacked into, hold links or devices, or
swell to fill the disk. Anything of the kind is refused before a byte is written.
"""

import logging
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from segbench.errors import DataError

LOG = logging.getLogger(__name__)
MAX_BYTES = 500 * 2**30
MAX_RATIO = 200
NEVER_REFUSED_BYTES = 2**30
CHUNK = 2**20


def unpack(archive: Path, folder: Path) -> int:
    """Unpack a `.tar`, `.tar.gz`, `.tgz` or `.zip` archive into a new folder.

    Args:
        archive: the archive.
        folder: where to unpack; holds nothing if unpacking fails.

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
        reader = _zip_files(archive) if archive.suffix == ".zip" else _tar_files(archive)
        count = _write_all(reader, folder, limit=_size_limit(archive))
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
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


def _tar_files(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, mode="r|*") as tar:
        for member in tar:
            if member.isdir():
                continue
            if not member.isfile():
                kind = "link" if member.issym() or member.islnk() else "special file"
                raise DataError(f"{archive}: holds a {kind}, '{member.name}'; refused")
            stream = tar.extractfile(member)
            assert stream is not None  # a regular file always has one
            yield _safe_name(archive, member.name), stream


def _zip_files(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as zipped:
        for info in zipped.infolist():
            if info.is_dir():
                continue
            if info.flag_bits & 1:
                raise DataError(f"{archive}: is encrypted; unpack it yourself and name the folder")
            with zipped.open(info) as stream:
                yield _safe_name(archive, info.filename), stream


def _safe_name(archive: Path, name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in (path.parts or ("",))[0]:
        raise DataError(f"{archive}: holds '{name}', a path outside its folder; refused")
    return str(path)


def _write_all(files: Iterator[tuple[str, IO[bytes]]], folder: Path, limit: int) -> int:
    written = count = 0
    for name, stream in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            while chunk := stream.read(CHUNK):
                written += len(chunk)
                if written > limit:
                    raise DataError(
                        f"'{name}': the archive unpacks to more than {limit / 2**30:.0f} GiB, far "
                        "beyond its size; refused. If it is sound, unpack it yourself."
                    )
                out.write(chunk)
        count += 1
    return count
