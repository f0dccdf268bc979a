"""The user's table of parts of the images: weather, camera, district, a column for each.

Read with the standard library alone, because a dry run asks it.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.datasets.frame_names import FrameNames, examples
from segbench.errors import DataError, escaped

IMAGE_COLUMNS = ("image", "frame", "name")
MOST_VALUES = 20  # of a column; a figure with more parts is no longer read
# columns that the tables have already
TAKEN = frozenset({"brightness", "size", "drive"})


@dataclass(frozen=True)
class SliceTable:
    """A CSV file with a row per image.

    Attributes:
        path: of the file.
        columns: what images are divided by.
        rows: values by image, in the words of the file.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, path: Path) -> "SliceTable":
        """Read it.

        Raises:
            DataError: it is not such a table, names an image twice, or lacks a value.
        """
        header, *lines = _lines(path)
        columns = tuple(header[1:])
        _refuse_header(path, header)
        rows = dict[str, tuple[str, ...]]()
        for number, line in _with_numbers(lines):
            if len(line) != len(header):
                raise DataError(
                    f"{path}: line {number} has {len(line)} values, and the first line "
                    f"{len(header)}."
                )
            if "" in line:
                column = header[line.index("")]
                raise DataError(
                    f"{path}: line {number} has no value for `{escaped(column)}`. Write a word "
                    "such as 'unknown' where you do not know it."
                )
            if line[0] in rows:
                raise DataError(f"{path}: line {number} names '{escaped(line[0])}' again.")
            rows[line[0]] = tuple(line[1:])
        for column, values in zip(columns, zip(*rows.values(), strict=True), strict=False):
            if (count := len(set(values))) > MOST_VALUES:
                raise DataError(
                    f"{path}: `{escaped(column)}` has {count} different values, and {MOST_VALUES} "
                    "is the most. Give ranges of numbers a name, such as 'below 10 m'."
                )
        if not rows:
            raise DataError(f"{path}: has no rows. Give one for each image that is scored.")
        return cls(path, columns, rows)

    def by_frame(self, frames: Iterable[str], scored: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The values of each frame that is scored.

        An image may be called as in `frames.csv`, by its path below the images' folder, or by its
        bare file name where no other frame has that; endings do not matter.

        Args:
            frames: names of all frames of the dataset.
            scored: names of those that are scored.

        Raises:
            DataError: an image is unknown or could be one of several, or a frame has no row.
        """
        names = FrameNames(frames)
        found, unknown = dict[str, tuple[str, ...]](), list[str]()
        for image, values in self.rows.items():
            matches = names.meant(image)
            if len(matches) > 1:
                raise DataError(
                    f"{self.path}: '{escaped(image)}' may be any of {examples(matches)}. "
                    "Write one of these."
                )
            if not matches:
                unknown.append(image)
            for name in matches:
                if found.setdefault(name, values) is not values:
                    raise DataError(f"{self.path}: two rows are for the frame '{escaped(name)}'.")
        if unknown:
            raise DataError(
                f"{self.path}: {len(unknown)} of {len(self.rows)} images are not in the dataset: "
                f"{examples(unknown)}. Its frames are called as in {examples(sorted(scored))}."
            )
        if missing := [name for name in scored if name not in found]:
            raise DataError(
                f"{self.path}: {len(missing)} of {len(scored)} images that are scored have no row: "
                f"{examples(missing)}."
            )
        return {name: found[name] for name in scored}


def place(table: Path, frames: Path, scored: str, target: Path) -> None:
    """Write the user's table by name of the frame, with a row for each that is scored.

    Args:
        table: the CSV file of the user.
        frames: `frames.csv` of the prepared dataset.
        scored: the split that is scored.
        target: CSV file to write.

    Raises:
        DataError: the table does not fit the dataset.
    """
    with frames.open(encoding="utf-8", newline="") as file:
        splits = [(row["name"], row["split"]) for row in csv.DictReader(file)]
    read = SliceTable.read(table)
    rows = read.by_frame(
        [name for name, _ in splits], [name for name, split in splits if split == scored]
    )
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", *read.columns])
        writer.writerows([name, *values] for name, values in rows.items())


def _with_numbers(lines: Sequence[list[str]]) -> Iterable[tuple[int, list[str]]]:
    """Lines after the first, counted from 2, without empty ones."""
    return ((number, line) for number, line in enumerate(lines, 2) if line)


def _lines(path: Path) -> list[list[str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        # spreadsheets of some countries export with semicolons
        separator = ";" if first.count(";") > first.count(",") else ","
        lines = list(csv.reader(text.splitlines(), delimiter=separator, strict=True))
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text. Export it as 'CSV UTF-8'.") from None
    except csv.Error as error:
        raise DataError(f"{path}: is not a CSV file ({error}).") from None
    if not lines:
        raise DataError(f"{path}: is empty. {_wanted()}")
    return [[value.strip() for value in line] for line in lines]


def _refuse_header(path: Path, header: Sequence[str]) -> None:
    if header[0].lower() not in IMAGE_COLUMNS or len(header) < 2:
        raise DataError(f"{path}: the first line is '{escaped(','.join(header))}'. {_wanted()}")
    for column in header[1:]:
        if not column or header.count(column) > 1 or column.lower() in {*TAKEN, *IMAGE_COLUMNS}:
            raise DataError(
                f"{path}: a column is called '{escaped(column)}'. Give each a name of its own, "
                f"other than {', '.join(sorted(TAKEN))}."
            )


def _wanted() -> str:
    return (
        "It must name the columns: `image` first, and then what images are divided by, as in "
        "'image,weather,camera'."
    )
