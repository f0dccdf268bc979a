"""Which files of a source count: those that a preparation reads, or would warn of.

Knows names of files; opens none. A plan asks, so this imports nothing heavy.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from segbench.datasets.description import DatasetDescription
from segbench.datasets.layout import files_below, pattern_regex
from segbench.datasets.split_settings import LIST_SUFFIX

SUFFIX = re.compile(r"\.(?:\w+|\{ext:[^{}]*\})$")
ANY_IMAGE = r"\.(?i:jpe?g|png|bmp|tiff?|webp|ppm|pgm|jp2)"


def of_any_suffix(images: str) -> re.Pattern[str] | None:
    """Images that a pattern means but for their suffix, None if the pattern names no suffix."""
    tail = SUFFIX.search(images)
    return None if tail is None else re.compile(pattern_regex(images[: tail.start()]) + ANY_IMAGE)


def files_that_count(description: DatasetDescription, root: Path) -> Iterator[str]:
    """Paths below `root` of the files that a preparation looks at, in a stable order.

    Args:
        description: its patterns and list files.
        root: folder that its patterns start at.
    """
    splits = description.splits
    lists = {name for name in splits.values.values() if name.endswith(LIST_SUFFIX)}
    patterns = [
        re.compile(pattern_regex(pattern))
        for pattern in (description.images, description.labels.path)
    ]
    if (of_image := of_any_suffix(description.images)) is not None:
        patterns.append(of_image)
    for path in files_below(root, ""):
        if path in lists or any(pattern.fullmatch(path) for pattern in patterns):
            yield path
