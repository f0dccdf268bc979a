"""Pair images with labels by path patterns such as `{split}/{group}/{frame}_image.{ext:jpg|png}`.

Knows patterns and file names; opens no file.
"""

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WILDCARD = re.compile(r"\{(\w+)(?::([^{}]*))?\}")
KNOWN = ("split", "group", "frame", "ext")


@dataclass(frozen=True, slots=True)
class Frame:
    """One image and the label that belongs to it, as found in the source.

    Attributes:
        name: `<group>__<frame>`, unique within a split unless two files collide.
        split: the source's own value of `{split}`, empty where the pattern has none.
        group: the drive or sequence, empty where the pattern has none.
        frame: the value of `{frame}` alone.
        image: path of the image, relative to the root of the layout.
        labels: candidate paths of the label, of which one should exist.
    """

    name: str
    split: str
    group: str
    frame: str
    image: str
    labels: tuple[str, ...]


def pattern_problem(pattern: str, needs_split: bool = True, needs_frame: bool = True) -> str | None:
    """Say what is wrong with a path pattern, or None.

    Args:
        pattern: the pattern.
        needs_split: whether the wildcard `{split}` must be in it.
        needs_frame: whether `{frame}` must, as it must not where one file is for many images.
    """
    found = [match[1] for match in WILDCARD.finditer(pattern)]
    unknown = [name for name in found if name not in KNOWN]
    if unknown:
        return f"unknown wildcard '{{{unknown[0]}}}' in '{pattern}'. Valid: {', '.join(KNOWN)}."
    needed = ["split"] * needs_split + ["frame"] * needs_frame
    missing = [name for name in needed if name not in found]
    if missing:
        remedy = (
            "which every pattern needs"
            if missing[0] == "frame"
            else "which says the split of an image. Where the data has no split, draw one: "
            "`splits: {random: {val: 0.2}}` or `splits: {folds: 5}`; or name list files in `splits`"
        )
        return f"'{pattern}' has no wildcard '{{{missing[0]}}}', {remedy}"
    if set("{}") & set(WILDCARD.sub("", pattern)):
        return f"'{pattern}' has an unbalanced brace"
    if pattern.startswith("/") or ".." in Path(pattern).parts:
        return f"'{pattern}' must be relative to the dataset's root, without '..'"
    return None


def find_frames(root: Path, images: str, labels: str) -> Iterator[Frame]:
    """List the frames under `root` whose image matches a pattern, in the order of their paths.

    Args:
        root: folder that both patterns are relative to.
        images: pattern of the image files.
        labels: pattern of the label files, with the same wildcards.
    """
    matcher = re.compile(pattern_regex(images))
    for path in files_below(root, literal_folder(images)):
        if match := matcher.fullmatch(path):
            values = match.groupdict()
            group = values.get("group") or ""
            # drives share frame names, so the group is part of a frame's identity
            name = "__".join(part for part in (group, values["frame"]) if part)
            yield Frame(
                name=name.replace("/", "_"),
                split=values.get("split") or "",
                group=group,
                frame=values["frame"],
                image=path,
                labels=tuple(_fill(labels, values)),
            )


def example_files(root: Path, count: int = 3) -> list[str]:
    """Some files that do lie under `root`, for a message about a pattern that found none."""
    found = []
    for path in files_below(root, ""):
        found.append(path)
        if len(found) == count:
            break
    return found


def pattern_regex(pattern: str) -> str:
    """Translate a pattern; a wildcard that comes twice must have the same value both times."""
    parts, seen, position = [], set(), 0
    for match in WILDCARD.finditer(pattern):
        parts.append(re.escape(pattern[position : match.start()]))
        name, choices = match[1], match[2]
        if name in seen:
            parts.append(f"(?P={name})")
        elif choices:
            parts.append(f"(?P<{name}>{'|'.join(map(re.escape, choices.split('|')))})")
        else:
            parts.append(f"(?P<{name}>[^/]+)")
        seen.add(name)
        position = match.end()
    return "".join([*parts, re.escape(pattern[position:])])


def _fill(pattern: str, values: dict[str, str]) -> Iterator[str]:
    """Every path that a pattern can mean for these wildcard values."""
    # alternatives are the label's own: an image may be .jpg while its label is .png
    options = [
        match[2].split("|") if match[2] else [values.get(match[1]) or ""]
        for match in WILDCARD.finditer(pattern)
    ]
    for chosen in itertools.product(*options):
        words = iter(chosen)
        yield WILDCARD.sub(lambda _, words=words: next(words), pattern)  # type: ignore[misc]


def literal_folder(pattern: str) -> str:
    """The folder at the start of a pattern that holds no wildcard."""
    return pattern.partition("{")[0].rpartition("/")[0]


def files_below(root: Path, folder: str) -> Iterator[str]:
    """Paths of all files below `root/folder`, relative to `root`, in a stable order."""
    for current, files in walk(root / folder):
        relative = Path(current).relative_to(root).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        for name in files:
            yield prefix + name


def walk(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Every folder below one, itself first, with the names of its files, in a stable order.

    Links to folders are followed, except to a folder that they lie in themselves: two such links
    would make the walk endless.
    """
    inside: dict[str, frozenset[tuple[int, int]]] = {}
    for current, folders, files in os.walk(folder, followlinks=True):
        status = Path(current).stat()
        above = inside.pop(current, frozenset()) | {(status.st_dev, status.st_ino)}
        kept = []
        for name in sorted(folders):
            path = os.path.join(current, name)  # noqa: PTH118 - a Path each is slow for 100,000
            try:
                found = os.stat(path)  # noqa: PTH116
            except OSError:
                continue
            if (found.st_dev, found.st_ino) not in above:
                inside[path] = above
                kept.append(name)
        folders[:] = kept
        yield current, sorted(files)
