"""A folder with all that an experiment takes from the network, for machines without one.

It holds wheels of the lock, and the files of `resources/` with weights and archives. A list of
hashes proves that nothing was lost on the way.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from segbench.errors import DataError
from segbench.system.files import place, sha256_of, write_whole

LIST = "SHA256SUMS"
WHEELS = "wheels"
RESOURCES = "resources"
LINE = re.compile(r"([0-9a-f]{64})  (.+)")
AGAIN = "Copy the bundle again."


def add_resources(bundle: Path, files: Iterable[Path]) -> int:
    """Put files of `resources/` into a bundle, and write its list anew.

    Args:
        bundle: the folder; its wheels are there already.
        files: paths that begin with `resources/`.

    Returns:
        How many files the bundle holds.

    Raises:
        DataError: a path is elsewhere, or no file; nothing was put into the bundle.
    """
    wanted = list(files)
    for path in wanted:
        if path.parts[:1] != (RESOURCES,) or not _is_inside(path.as_posix()):
            raise DataError(
                f"{path}: is not below {RESOURCES}/. A bundle takes what a checkout keeps there, "
                f"by names that begin with {RESOURCES}/."
            )
        if not path.is_file():
            raise DataError(f"{path}: no such file. `snakemake fetch` obtains what is needed.")
    for path in wanted:
        target = bundle / path
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"{target.name}.part")
        shutil.copyfile(path, part)
        os.replace(part, target)
    listed = _files_in(bundle)
    lines = [f"{sha256_of(bundle / name)}  {name}\n" for name in listed]
    write_whole(bundle / LIST, "".join(lines).encode())
    return len(listed)


def verify_bundle(bundle: Path) -> list[str]:
    """Confirm that a bundle is whole.

    Returns:
        Names of its files.

    Raises:
        DataError: a file is missing, damaged, not listed, or named outside of the folder.
    """
    listed = _read_list(bundle)
    foreign = [name for name in listed if not _is_inside(name)]
    if foreign:
        raise DataError(f"{bundle / LIST}: names a file outside of the bundle, {foreign[0]}")
    there = set(_files_in(bundle))
    if missing := [name for name in listed if name not in there]:
        raise DataError(
            f"{bundle}: lacks {len(missing)} of {len(listed)} files, such as {missing[0]}. {AGAIN}"
        )
    for name, digest in listed.items():
        if sha256_of(bundle / name) != digest:
            raise DataError(f"{bundle / name}: is damaged. {AGAIN}")
    if unknown := sorted(there - listed.keys()):
        raise DataError(
            f"{bundle}: holds files that {LIST} does not name, such as {unknown[0]}. Remove them, "
            "or let `make bundle` write the list again."
        )
    return list(listed)


def _read_list(bundle: Path) -> dict[str, str]:
    """The hashes of a bundle by name."""
    try:
        lines = (bundle / LIST).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise DataError(
            f"{bundle}: is not a bundle: {LIST} cannot be read. `make bundle` writes one."
        ) from None
    listed = {}
    for number, line in enumerate(lines, 1):
        if not (found := LINE.fullmatch(line)):
            raise DataError(f"{bundle / LIST}: line {number} is no hash and name. {AGAIN}")
        listed[found[2]] = found[1]
    if not listed:
        raise DataError(f"{bundle / LIST}: names no file. {AGAIN}")
    return listed


def _files_in(bundle: Path) -> list[str]:
    """Names of all its files but the list."""
    return sorted(
        path.relative_to(bundle).as_posix()
        for path in bundle.rglob("*")
        if path.is_file() and path != bundle / LIST
    )


def take_resources(bundle: Path, root: Path) -> int:
    """Place the weights and archives of a bundle where a checkout looks for them.

    Returns:
        How many there were.
    """
    names = [name for name in verify_bundle(bundle) if name.startswith(f"{RESOURCES}/")]
    for name in names:
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        place(bundle / name, target)
    return len(names)


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


if __name__ == "__main__":  # of `make setup`, whose Python has no packages yet
    try:
        verify_bundle(Path(sys.argv[1]))
    except DataError as error:
        sys.exit(f"ERROR: {error}")
