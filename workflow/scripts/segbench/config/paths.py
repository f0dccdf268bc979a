"""Where the files that a config names are looked for.

A relative path starts where Snakemake is run; a file that is not there is looked for beside the
config file that names it, and then in the workflow's own folder.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator


def from_home(path: str) -> str:
    """A path with the `~` it starts with replaced by the home folder.

    Raises:
        ValueError: nobody of that name has a home folder here.
    """
    if not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        raise ValueError(f"'{path}' starts in a home folder that does not exist here") from None


# a path that may start with `~`
UserPath = Annotated[str, AfterValidator(from_home)]


def located(
    path: str, folders: Iterable[Path], is_there: Callable[[Path], bool] = Path.is_file
) -> Path:
    """The first file of this path: where Snakemake is run, or in one of some folders.

    Args:
        path: as it was written.
        folders: where it is looked for after the working directory.
        is_there: what must be true of it; `Path.is_dir` looks for a folder instead.

    Returns:
        The path as it is where there is no such file.
    """
    return next((one for one in _candidates(path, folders) if is_there(one)), Path(path))


def looked_in(path: str, folders: Iterable[Path]) -> str:
    """Every folder that was looked in, for a message: `looked in /home/me and /data`."""
    if Path(path).is_absolute():
        return f"looked in {Path(path).parent}"
    places = dict.fromkeys(str(folder.resolve()) for folder in (Path(), *folders))
    return f"looked in {' and '.join(places)}"


def _candidates(path: str, folders: Iterable[Path]) -> list[Path]:
    return [Path(path), *(folder / path for folder in folders)]
