"""A folder with all that an experiment takes from the network, for machines without one.

It holds wheels of the lock, and the files of `resources/` with weights and archives. A list of
hashes proves that nothing was lost on the way.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from segbench.errors import DataError
from segbench.system.files import place, sha256_of, write_whole

LIST = "SHA256SUMS"
WHEELS = "wheels"
RESOURCES = "resources"


def add_resources(bundle: Path, files: Iterable[Path]) -> int:
    """Put files of `resources/` into a bundle, and write its list anew.

    Args:
        bundle: the folder; its wheels are there already.
        files: paths that begin with `resources/`.

    Returns:
        How many files the bundle holds.
    """
    for path in files:
        target = bundle / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        shutil.copyfile(path, target)
    listed = sorted(
        path.relative_to(bundle).as_posix()
        for path in bundle.rglob("*")
        if path.is_file() and path.name != LIST
    )
    lines = [f"{sha256_of(bundle / name)}  {name}\n" for name in listed]
    write_whole(bundle / LIST, "".join(lines).encode())
    return len(listed)


def verify_bundle(bundle: Path) -> list[str]:
    """Confirm that a bundle is whole.

    Returns:
        Names of its files.

    Raises:
        DataError: a file is missing, damaged or named outside of the folder.
    """
    try:
        lines = (bundle / LIST).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise DataError(
            f"{bundle}: is not a bundle: {LIST} cannot be read. `make bundle` writes one."
        ) from None
    listed = dict(line.split("  ", 1)[::-1] for line in lines if "  " in line)
    foreign = [name for name in listed if not _is_inside(name)]
    if foreign:
        raise DataError(f"{bundle / LIST}: names a file outside of the bundle, {foreign[0]}")
    missing = [name for name in listed if not (bundle / name).is_file()]
    if missing:
        raise DataError(
            f"{bundle}: lacks {len(missing)} of {len(listed)} files, such as {missing[0]}. Copy "
            "the bundle again."
        )
    for name, digest in listed.items():
        if sha256_of(bundle / name) != digest:
            raise DataError(f"{bundle / name}: is damaged. Copy the bundle again.")
    return list(listed)


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
