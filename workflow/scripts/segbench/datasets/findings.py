"""What the checks of a dataset can find: every kind of problem with its level and its remedy.

Errors stop a workflow, warnings go on and land in the report. Knows the words, no check itself;
`docs/checks.md` lists the same codes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from segbench.errors import DataError, escaped
from segbench.system.records import Record

SHOWN = 5
SHOWN_UNKNOWN = 20
CHANGED, ALL_PIXELS = "changed", "all"  # amounts of a fault that has them in place of unknown ones
Level = Literal["error", "warning"]


class Fault(NamedTuple):
    """What is wrong with one file.

    Attributes:
        code: of the kind of problem.
        example: the file and the detail.
        unknown: what in it belongs to no class, each with its number of pixels or objects.
    """

    code: str
    example: str
    unknown: tuple[tuple[str, int], ...] = ()


class Kind(NamedTuple):
    """A kind of problem: how grave it is, what it is called, and what to do about it."""

    level: Level
    problem: str
    remedy: str


_AGAIN = "copy or download the files again, or remove them together with their labels"
KINDS: dict[str, Kind] = {
    # what stops the preparation
    "name-collision": Kind(
        "error", "images that would get the same name",
        "add a {{group}} wildcard to the patterns, so that their folders tell them apart, or "
        "rename one of each pair",
    ),
    "in-both-lists": Kind(
        "error", "frames that two list files name",
        "remove them from one of the two lists; a model that saw them scores too high",
    ),
    "unprintable-name": Kind(
        "error", "file names with characters that cannot be written",
        "rename the files to plain letters, digits, '_' and '-'",
    ),
    "unreadable-image": Kind("error", "images that cannot be read", _AGAIN),
    "foreign-image": Kind(
        "error", "images of a form that is not read",
        "convert the files to PNG or JPEG, and correct the suffix in `images`",
    ),
    "many-bands": Kind(
        "error", "images with more bands than grey or colours",
        "models read one or three bands; write the three that show the classes best as red, green "
        "and blue, of 8 bits each (for instance `gdal_translate -b 4 -b 3 -b 2 -ot Byte -scale`)",
    ),
    "huge-image": Kind(
        "error", "images beyond the limit of pixels",
        "remove them; if they are meant to be that large, raise `max_image_pixels` in the dataset "
        "description",
    ),
    "tiny-image": Kind(
        "error", "images with less than 8 pixels on a side",
        "remove them together with their labels; networks shrink what they see 8 to 32 times, so "
        "that nothing is left of them",
    ),
    "turned-image": Kind(
        "error", "images that are turned by an EXIF note",
        "turn the pixels themselves (for instance `mogrify -auto-orient`), and check that the "
        "label fits: programs differ in whether they heed the note",
    ),
    "missing-label": Kind(
        "error", "images without a label",
        "add the label, remove the image, or correct `labels.path` in the dataset description",
    ),
    "unreadable-label": Kind(
        "error", "labels that cannot be read", "copy, download or make the files again",
    ),
    "foreign-label": Kind(
        "error", "labels of a form that is not read",
        "convert the files to PNG, and correct the suffix in `labels.path`",
    ),
    "huge-label": Kind(
        "error", "labels beyond the limit of pixels",
        "remove them; if they are meant to be that large, raise `max_image_pixels` in the dataset "
        "description",
    ),
    "label-shape": Kind(
        "error", "annotations of another shape than their format has",
        "mend or export the files again, or correct `labels.format` in the dataset description",
    ),
    "not-an-index": Kind(
        "error", "labels that are not maps of class values",
        "set `labels.format: rgb` if their colours stand for classes; else write the class values "
        "as PNG with one channel of 8 bits",
    ),
    "wide-values": Kind(
        "error", "labels with values beyond 255",
        "write class values from 0 to 255; values such as 26001 often number objects (class 26, "
        "object 1): then let `labels.path` name the files of classes instead, or divide them",
    ),
    "not-colors": Kind(
        "error", "labels that are not maps of colours",
        "set `labels.format: index` if their values stand for classes; else write them as RGB PNG",
    ),
    "unknown-value": Kind(
        "error", "labels with values outside the classes",
        "mend the files; a value that is meant to be there goes into `values` of a class or into "
        "`ignore_values` of the class list",
    ),
    "unknown-color": Kind(
        "error", "labels with colours outside the classes",
        "mend the files (colours must be exact, so no JPEG and no smoothing; `labels.tolerance` "
        "takes near ones for them); a colour that is meant to be there goes into `colors` of a "
        "class or into `ignore_colors`",
    ),
    "unknown-polygon": Kind(
        "error", "annotations with labels outside the classes",
        "mend the files; a label that is meant to be there goes into `labels` of a class or into "
        "`ignore_labels` of the class list",
    ),
    "label-size": Kind(
        "error", "labels of another size than their image",
        "make the label again at the size of the image, or remove the pair",
    ),
    # what stops before training
    "nothing-labelled": Kind(
        "error", "no labelled pixel in the {split} split",
        "check the values or labels of the classes in the dataset description",
    ),
    "binary-masks": Kind(
        "error", "labels hold only 0 and void, as 0/255 masks do",
        "give the classes `values: [0]` and `values: [255]`, and set `ignore_values: []` in the "
        "class list",
    ),
    # what is reported
    "orphan-label": Kind(
        "warning", "labels without an image",
        "add the missing images, or remove the labels; they are left out",
    ),
    "unmatched-image": Kind(
        "warning", "images that the pattern passes over because of their suffix",
        "add their suffix to `images`, such as {{ext:jpg|png}}; upper and lower case differ. They "
        "are left out",
    ),
    "listed-twice": Kind(
        "warning", "frames that one list file names twice",
        "remove the repetition; each frame is taken once",
    ),
    "deep-image": Kind(
        "warning", "images with more than 8 bits per channel",
        "training reads the upper 8 of 16 bits, as OpenCV does, so that images which fill a part "
        "of the range (12 bits) become dark: convert them to 8 bits by the scale that they need",
    ),
    "hole-in-image": Kind(
        "warning", "JPEG images with a block of 4096 zero bytes, as failed copies have",
        "look at them, and copy them again if a part is grey or shifted",
    ),
    "palette-colors": Kind(
        "warning", "palette labels whose colours belong to other classes than their indices",
        "indices are read, not colours: correct `values` of the classes, or set "
        "`labels.format: rgb` if the colours are right",
    ),
    "nearest-color": Kind(
        "warning", "labels with colours that were taken for the nearest colour of a class",
        "`labels.tolerance` asks for it; look whether the share is as small as you expect, and use "
        "labels with exact colours where there are any",
    ),
    "absent-in-training": Kind(
        "warning", "classes without a pixel in the train split",
        "it cannot be learnt: add images that show it or remove it from the classes",
    ),
    "absent-in-validation": Kind(
        "warning", "classes without a pixel in the val split",
        "its IoU is NaN and left out of every mean: add images that show it",
    ),
    "absent-in-test": Kind(
        "warning", "classes without a pixel in the test split",
        "its IoU is NaN and left out of every mean: add images that show it",
    ),
    "absent-in-fold": Kind(
        "warning", "classes without a pixel in the validation images of a fold",
        "its IoU is NaN there and left out of that fold's mean: use fewer folds, or add images "
        "that show it in other groups",
    ),
    "starts-at-one": Kind(
        "warning", "the first class, value 0, never occurs though other classes do",
        "if 0 means void and the classes start at 1 in these labels, give each class its `values` "
        "from 1 on and set `ignore_values: [0, 255]`",
    ),
    "shifted-down": Kind(
        "warning", "the last class never occurs and much is void, as where labels were shifted",
        "if 1 was subtracted from the labels before (reduce_zero_label), so that class 0 became "
        "255, use the original labels or correct `values` of the classes",
    ),
    "void-class": Kind(
        "warning", "classes that are named as void",
        "a class is learnt and scored: remove it from `classes` and put its values, labels or "
        "colours into `ignore_values`, `ignore_labels` or `ignore_colors`",
    ),
    "rare-class": Kind(
        "warning", "classes below {share:g} % of the training pixels",
        "expect a low and unsteady IoU; more images of them help most, then "
        "`training: {{class_weights: median_frequency}}`",
    ),
    "few-scored-images": Kind(
        "warning", "fewer than {few} {split} images",
        "intervals will be wide; compare on more images if you can",
    ),
    "shared-group": Kind(
        "warning", "drives or sequences in more than one split",
        "frames of one drive look alike, so scores come out too high; split by drive. If the same "
        "name means different drives in these splits, this can be ignored",
    ),
    "duplicate-across": Kind(
        "warning", "identical images in more than one split",
        "leave them in one split; a model that saw them scores too high",
    ),
    "duplicate-within": Kind(
        "warning", "identical images within one split",
        "remove the repetitions; they count more than others",
    ),
    "contradicting-labels": Kind(
        "warning", "identical images with different labels",
        "keep the right one of the labels and remove the other pairs",
    ),
}  # fmt: skip


class UnusableError(DataError):
    """An image or label cannot be used.

    Args:
        code: which kind of problem it is.
        message: what is wrong, without the file's name.
        unknown: what in the label belongs to no class, with its number of pixels or objects.
    """

    def __init__(self, code: str, message: str, unknown: Mapping[str, int] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.unknown = tuple((unknown or {}).items())


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of problem in a dataset.

    Attributes:
        code: names the kind, as in `docs/checks.md`.
        level: `error` stops the workflow, `warning` does not.
        problem: what is wrong, as a sentence.
        remedy: what to do about it.
        count: how many files or classes are affected.
        examples: some of them, with the detail of each.
        unknown: all that belongs to no class in any of the files, with its counts.
    """

    code: str
    level: Level
    problem: str
    remedy: str
    count: int
    examples: tuple[str, ...]
    unknown: str = ""

    def as_text(self) -> str:
        """The finding as lines for a terminal."""
        lines = [f"{self.problem} ({self.count})"]
        lines += [f"    {example}" for example in self.examples]
        if self.examples and self.count > len(self.examples):
            lines.append(f"    ... and {self.count - len(self.examples)} more")
        if self.unknown:
            lines.append(f"    In all of them: {self.unknown}")
        return "\n".join([*lines, f"  Remedy: {self.remedy} [{self.code}]"])


class DatasetCheck(Record):
    """`check.json`: what the checks of a dataset found, where none of it stops a training.

    Attributes:
        warnings: those of the preparation first.
    """

    warnings: tuple[Finding, ...]


def finding(
    code: str, examples: Sequence[str] = (), count: int | None = None, **details: object
) -> Finding:
    """A finding of a kind.

    Args:
        code: the kind, a key of `KINDS`.
        examples: what is affected; only some are kept.
        count: how many are affected, where that is not the number of examples.
        details: fill the gaps in the words of the kind.
    """
    kind = KINDS[code]
    return Finding(
        code,
        kind.level,
        kind.problem.format(**details),
        kind.remedy.format(**details),
        len(examples) if count is None else count,
        tuple(map(escaped, examples[:SHOWN])),
    )


def grouped(faults: Iterable[Fault]) -> list[Finding]:
    """Turn faults into one finding per kind, in the order of `KINDS`."""
    of_kind: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        of_kind[fault.code].append(fault)
    return [
        replace(
            finding(code, [fault.example for fault in of_kind[code]]),
            unknown=_all_unknown(of_kind[code]),
        )
        for code in KINDS
        if code in of_kind
    ]


def _all_unknown(faults: Sequence[Fault]) -> str:
    """What belongs to no class, over all files: the most frequent first, with counts."""
    amounts, files = Counter[str](), Counter[str]()
    for fault in faults:
        for name, amount in fault.unknown:
            amounts[name] += amount
            files[name] += 1
    if ALL_PIXELS in amounts and faults[0].code == "nearest-color":
        return f"{100 * amounts[CHANGED] / amounts[ALL_PIXELS]:.2f} % of the pixels changed"
    unit = "objects" if faults[0].code == "unknown-polygon" else "pixels"
    parts = [
        f"{name} ({unit}: {amount}, files: {files[name]})"
        for name, amount in amounts.most_common(SHOWN_UNKNOWN)
    ]
    if len(amounts) > SHOWN_UNKNOWN:
        parts.append(f"and {len(amounts) - SHOWN_UNKNOWN} more")
    return ", ".join(parts)
