"""Put a file in its place: by link where the file system allows, by copy where it does not."""

import os
import shutil
from pathlib import Path


def place(source: Path, target: Path) -> str:
    """Make `source` available as `target`: hard link, else symbolic link, else copy.

    Returns:
        Which of the three it was: `hardlink`, `symlink` or `copy`.
    """
    target.unlink(missing_ok=True)
    try:
        # a link to where the data really is, even if the source is a link itself
        os.link(source.resolve(), target)
        return "hardlink"
    except OSError:
        pass
    try:
        target.symlink_to(source.resolve())
        return "symlink"
    except OSError:
        shutil.copyfile(source, target)
        return "copy"
