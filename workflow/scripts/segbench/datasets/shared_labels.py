"""Refuse label files for many images in which one entry would be the label of several of them.

Looks at all frames at once, which the processes of a preparation do not.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from segbench.datasets.coco import entry_of, read_instances
from segbench.datasets.findings import Fault, UnusableError
from segbench.datasets.layout import Frame


def entries_taken_twice(root: Path, frames: Iterable[Frame]) -> Iterator[Fault]:
    """Errors of entries whose `file_name` is the end of the paths of several images.

    A file is read only where images of equal names could share an entry.

    Args:
        root: folder that the paths of the frames are relative to.
        frames: of all splits.
    """
    alike: dict[tuple[tuple[str, ...], str], list[str]] = defaultdict(list)
    for frame in frames:
        alike[frame.labels, Path(frame.image).name].append(frame.image)
    for (labels, _), images in alike.items():
        label = next((root / path for path in labels if (root / path).is_file()), None)
        if len(images) < 2 or label is None:
            continue
        for name, sharing in _by_entry(label, images).items():
            if len(sharing) > 1:
                yield Fault(
                    "label-shape",
                    f"{label}: the `file_name` '{name}' fits {' and '.join(sharing)}; write their "
                    "folders into `file_name`, or give each folder a label file of its own",
                )


def _by_entry(label: Path, images: Iterable[str]) -> dict[str, list[str]]:
    """Images by the `file_name` of their entry, those left out that have none or several."""
    sharing: dict[str, list[str]] = defaultdict(list)
    for image in images:
        try:
            entry = entry_of(read_instances(label), image)
        except UnusableError:  # is told with the image
            continue
        sharing[entry["file_name"]].append(image)
    return sharing
