"""Which frames make which split, and what of the source is left over.

Knows names of files and opens only list files; no image and no label.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

from segbench.datasets.description import DatasetDescription
from segbench.datasets.findings import SHOWN, Finding, finding
from segbench.datasets.layout import (
    Frame,
    example_files,
    files_below,
    find_frames,
    literal_folder,
    pattern_regex,
)
from segbench.datasets.source_files import of_any_suffix
from segbench.datasets.split_settings import LIST_SUFFIX
from segbench.errors import DataError, escaped

LOG = logging.getLogger(__name__)
UNSPLIT = "unsplit"  # where frames wait until their split is drawn
JOINTS = re.compile("[_.-]")


def frames_of_splits(
    description: DatasetDescription, root: Path
) -> tuple[dict[str, list[Frame]], list[Finding]]:
    """The frames of each split, and warnings of what is left over.

    Args:
        description: what the dataset looks like.
        root: folder that its patterns start at.

    Returns:
        Frames by split (one split only where splits are still to be drawn), and warnings.

    Raises:
        DataError: a split is empty, a list cannot be used, or names collide.
    """
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder. Check `source` and `root` of the dataset description, or "
            "say where the dataset lies with `dataset_sources` in the config."
        )
    frames = list(find_frames(root, description.images, description.labels.path))
    findings = list(_strays(description, root, frames))
    if description.splits.are_drawn:
        if not frames:
            raise _nothing_found(root, description, "")
        splits, twice = _to_be_drawn(frames, root, description)
        findings += twice
    else:
        splits = {}
        for split, value in description.splits.values.items():
            splits[split], twice = _frames_of_split(frames, root, value)
            findings += twice
            if not splits[split]:
                raise _nothing_found(root, description, f" for the {split} split, '{value}'")
        if not description.splits.are_lists:
            _tell_unused(description, frames, splits)
    _refuse_shared(splits)
    return splits, findings


def _to_be_drawn(
    frames: list[Frame], root: Path, description: DatasetDescription
) -> tuple[dict[str, list[Frame]], list[Finding]]:
    """The frames that splits are drawn from, and those of a test split that has a name."""
    if description.splits.test is None:
        return {UNSPLIT: frames}, []
    test, twice = _frames_of_split(frames, root, description.splits.test)
    if not test:
        where = f" for the test split, '{description.splits.test}'"
        raise _nothing_found(root, description, where)
    held_out = set(test)
    return {UNSPLIT: [frame for frame in frames if frame not in held_out], "test": test}, twice


def _tell_unused(
    description: DatasetDescription, frames: Sequence[Frame], splits: dict[str, list[Frame]]
) -> None:
    """Say how many images match the pattern and are in no split, such as those of a test split."""
    used = {frame.image for chosen in splits.values() for frame in chosen}
    # a label whose path looks like that of an image, as `testannot/1.png` beside `test/1.png`
    used.update(path for frame in frames for path in frame.labels)
    unused = Counter(frame.split for frame in frames if frame.image not in used)
    if unused:
        LOG.info(
            "%s: images that match the pattern and are in no split here, by the value of {split}: "
            "%s",
            description.name,
            escaped(", ".join(f"{n} of '{value}'" for value, n in unused.most_common(SHOWN))),
        )


def _nothing_found(root: Path, description: DatasetDescription, where: str) -> DataError:
    return DataError(
        f"{root}: no image matches '{description.images}'{where}. "
        f"There are files such as: {', '.join(example_files(root)) or '(none)'}. "
        "Correct `images`, `root` or `splits` in the dataset description."
    )


def _frames_of_split(
    frames: Sequence[Frame], root: Path, value: str
) -> tuple[list[Frame], list[Finding]]:
    """The frames of one split: those of a value of `{split}`, or those that a list file names."""
    if not value.endswith(LIST_SUFFIX):
        return [frame for frame in frames if frame.split == value], []
    path = root / value
    names = _as_in_root(Counter(_listed(path)), frames, path)
    named = [(name, frame) for frame in frames for name in names.keys() & _names(frame)]
    by_name = dict(named)
    for name, frame in named:
        if by_name[name] is not frame:
            raise DataError(
                f"{path}: '{name}' names both {frame.image} and {by_name[name].image}; write "
                f"{frame.name} and {by_name[name].name} instead"
            )
    missing = sorted(names.keys() - by_name.keys())
    if missing:
        raise DataError(
            f"{path}: {len(missing)} of {len(names)} listed frames have no image, for instance "
            f"{', '.join(missing[:3])}.{_other_folder(missing, frames)} Correct the list, or "
            "`images` in the dataset description."
        )
    times: Counter[Frame] = Counter()
    for name, frame in named:
        times[frame] += names[name]
    twice = [f"{path}: {frame.name}" for frame, number in times.items() if number > 1]
    return list(times), [finding("listed-twice", twice)] if twice else []


def _listed(path: Path) -> list[str]:
    """The first words of the lines of a list file.

    Each names a frame, `<group>__<frame>`, or the path of its image below the root.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such list; correct `splits` in the dataset description")
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text; save the list as UTF-8") from None
    return [words[0].removeprefix("./") for words in lines if words]


def _as_in_root(names: Counter[str], frames: Sequence[Frame], path: Path) -> Counter[str]:
    """Names of a list, those that begin at another root replaced by the path of their image.

    A list may say `/data/CamVid/train/1.png` or `1.png` of the image `train/1.png`. A name that
    fits several images by its end stays as it is.
    """
    known = {name for frame in frames for name in _names(frame)}
    if names.keys() <= known:
        return names
    images = {name: frame.image for frame in frames for name in _paths(frame)}
    longer: dict[str, set[str]] = defaultdict(set)
    for name, image in images.items():
        for tail in _tails(name):
            longer[tail].add(image)
    found: Counter[str] = Counter()
    example = ""
    for name, number in names.items():
        ends = longer.get(name, set()) | {images[tail] for tail in _tails(name) if tail in images}
        if name in known or len(ends) != 1:
            found[name] += number
        else:
            (image,) = ends
            found[image] += number
            example = example or f"{name} is {image}"
    if example:
        LOG.info(
            "%s: names begin at another root; they are matched by their end: %s", path, example
        )
    return found


def _tails(path: str) -> Iterator[str]:
    """A path without its first folder, without its first two, and so on."""
    while "/" in path:
        path = path.partition("/")[2]
        yield path


def _other_folder(missing: Sequence[str], frames: Sequence[Frame]) -> str:
    """Say that an image of the listed name lies in another folder, if that is so."""
    images = {name: frame.image for frame in frames for name in _names(frame)}
    for name in missing:
        image = images.get(name.rpartition("/")[2])
        if image is not None:
            return f" The folders differ: '{name}' is listed, and there is {image}."
    return ""


def _paths(frame: Frame) -> tuple[str, str]:
    """The path of an image below the root, with and without its suffix."""
    return frame.image, Path(frame.image).with_suffix("").as_posix()


def _names(frame: Frame) -> set[str]:
    image = Path(frame.image)
    return {frame.name, frame.frame, image.name, image.stem, *_paths(frame)}


def _refuse_shared(splits: dict[str, list[Frame]]) -> None:
    """Refuse names that two frames of a split would share, and frames that two splits share."""
    collisions = []
    for frames in splits.values():
        first: dict[str, Frame] = {}
        for frame in frames:
            other = first.setdefault(frame.name, frame)
            if other is not frame:
                collisions.append(
                    f"{other.image} and {frame.image} would both be named '{frame.name}'"
                )
    members = {split: set(frames) for split, frames in splits.items()}
    leaks = [
        f"{frame.name}: {frame.image} ({one} and {other})"
        for one, other in combinations(splits, 2)
        for frame in splits[other]
        if frame in members[one]
    ]
    found = [
        finding(code, examples).as_text()
        for code, examples in (("name-collision", collisions), ("in-both-lists", leaks))
        if examples
    ]
    if found:
        raise DataError("\n".join(found))


def _strays(
    description: DatasetDescription, root: Path, frames: Sequence[Frame]
) -> Iterator[Finding]:
    """Warn of labels without an image, and of images whose suffix the pattern does not name."""
    images, labels = description.images, description.labels.path
    of_image, of_label = re.compile(pattern_regex(images)), re.compile(pattern_regex(labels))
    expected = {path for frame in frames for path in frame.labels}

    def others(pattern: str, *known: re.Pattern[str]) -> Iterator[str]:
        for path in files_below(root, literal_folder(pattern)):
            if path not in expected and not any(one.fullmatch(path) for one in known):
                yield path

    orphans = []
    if "frame" in of_label.groupindex:
        orphans = _of_no_frame(description, of_label, others(labels, of_image), frames)
    if orphans:
        yield finding("orphan-label", [str(root / path) for path in orphans])
    of_any = of_any_suffix(images)
    if of_any is None:
        return
    unmatched = _of_no_frame(description, of_any, others(images, of_image, of_label), frames)
    if unmatched:
        yield finding("unmatched-image", [str(root / path) for path in unmatched])


def _of_no_frame(
    description: DatasetDescription,
    pattern: re.Pattern[str],
    paths: Iterable[str],
    frames: Sequence[Frame],
) -> list[str]:
    """The paths that fit a pattern, in a split that is used, and belong to no known frame.

    A file such as `7_inst.png` beside frame `7` belongs to it.
    """
    splits = description.splits
    by_value = not (splits.are_lists or splits.are_drawn)
    keys = [key for key in ("split", "group") if key in pattern.groupindex]
    known = {(*(getattr(frame, key) for key in keys), frame.frame) for frame in frames}
    found = []
    for path in paths:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        values = match.groupdict()
        if by_value and values.get("split") not in (None, *splits.values.values()):
            continue
        place, name = [values[key] for key in keys], values["frame"]
        starts = [name, *(name[: joint.start()] for joint in JOINTS.finditer(name))]
        if not any((*place, start) in known for start in starts):
            found.append(path)
    return found
