"""Which frame somebody means: by its name, its path below the images' folder, or its file name."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from segbench.errors import escaped

MOST_EXAMPLES = 3


class FrameNames:
    """The frames of a dataset, by each way in which they may be called.

    Args:
        frames: their names, such as `drive__frame0029`.
    """

    def __init__(self, frames: Iterable[str]) -> None:
        self._known = defaultdict[str, set[str]](set)
        whole = set(frames)
        for name in whole:
            parts = name.split("__")
            for start in range(len(parts)):
                short = "__".join(parts[start:])
                # a whole name is never short for another
                if short == name or short not in whole:
                    self._known[short].add(name)

    def meant(self, called: str) -> list[str]:
        """The frames that are called so, in order; the ending of a file does not matter."""
        path = PurePosixPath(called.replace("\\", "/"))
        without_ending = "__".join((*path.parent.parts, path.stem))
        whole = self._known.get("__".join(path.parts), set())
        return sorted(whole or self._known.get(without_ending, set()))


def examples(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - MOST_EXAMPLES} more" if len(names) > MOST_EXAMPLES else ""
    return ", ".join(f"'{escaped(name)}'" for name in names[:MOST_EXAMPLES]) + more
