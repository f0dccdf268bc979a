"""The zoo's index as a table: searched, sorted, and written for people or programs.

CSV holds fractions and is for programs; text and Markdown hold per cent. Needs neither torch nor
pandas.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from tabulate import tabulate

from segbench.errors import ConfigError, did_you_mean
from segbench.zoo.index import Published
from segbench.zoo.requirements import missing

Format = Literal["table", "csv", "md", "names"]
NOT_THERE = "–"
ABSENT = "config file (absent from the package)"
CSV_COLUMNS = (
    "config", "family", "backbone", "dataset", "crop_height", "crop_width", "miou", "memory_gb",
    "needs", "available", "sha256_prefix", "weights_url", "license",
)  # fmt: skip
# the best first: a high score, little memory, a small crop
SORT_KEYS: dict[str, Callable[[Published], tuple[bool, float | str]]] = {
    "miou": lambda e: (e.miou is None, -(e.miou or 0)),
    "memory": lambda e: (e.memory_gb is None, e.memory_gb or 0),
    "name": lambda e: (False, e.config.lower()),
    "family": lambda e: (False, e.family.lower()),
    "backbone": lambda e: (False, e.backbone.lower()),
    "dataset": lambda e: (False, e.dataset.lower()),
    "crop": lambda e: (e.crop_size is None, e.crop_size[0] * e.crop_size[1] if e.crop_size else 0),
}


def select(
    entries: Iterable[Published],
    words: Sequence[str] = (),
    dataset: str | None = None,
    family: str | None = None,
    runnable: bool = False,
) -> list[Published]:
    """The entries that hold every word and are of one dataset and family.

    Args:
        entries: of the index.
        words: each must occur in the name, family, backbone, dataset or needs; case is ignored.
        dataset: the dataset's name, or a part of it, such as `voc`.
        family: the family's name in full, such as `FCN`.
        runnable: leave out what lacks its config file, or needs what is not installed here.

    Raises:
        ConfigError: no entry has this dataset, family or all words; suggests the nearest.
    """
    entries = list(entries)
    if dataset is not None:
        names = {entry.dataset for entry in entries}
        if not any(_holds(name, dataset) for name in names):
            raise ConfigError(
                f"no dataset '{dataset}' in the zoo.{did_you_mean(dataset, names, 20)}"
            )
        entries = [entry for entry in entries if _holds(entry.dataset, dataset)]
    if family is not None:
        names = {entry.family for entry in entries}
        if family.lower() not in {name.lower() for name in names}:
            raise ConfigError(f"no family '{family}' in the zoo.{did_you_mean(family, names, 50)}")
        entries = [entry for entry in entries if entry.family.lower() == family.lower()]
    if runnable:
        entries = [entry for entry in entries if entry.available and not missing(entry.needs)]
    found = [entry for entry in entries if all(_holds(_text(entry), word) for word in words)]
    if words and not found:
        raise ConfigError(_nothing_found(words, entries))
    return found


def _nothing_found(words: Sequence[str], entries: Sequence[Published]) -> str:
    """Which words no entry holds, with the nearest that some do; or that none holds them all."""
    texts = [_text(entry).lower() for entry in entries]
    unknown = [word for word in words if not any(word.lower() in text for text in texts)]
    if not unknown:
        return f"none of the {len(entries)} models holds all of: {', '.join(words)}. Leave one out."
    known = {part for text in texts for part in re.split(r"[\s_]+", text)}
    known |= {part for word in known for part in word.split("-")}
    hints = "".join(did_you_mean(word.lower(), known, 0) for word in unknown)
    return f"none of the {len(entries)} models holds: {', '.join(unknown)}.{hints}"


def ordered(entries: Iterable[Published], key: str) -> list[Published]:
    """Entries by a key of `SORT_KEYS`; those without a value last, equal ones by name."""
    by_name = sorted(entries, key=lambda entry: entry.config)
    return sorted(by_name, key=SORT_KEYS[key])


def written(entries: Sequence[Published], form: Format) -> str:
    """Entries as text: an aligned table, CSV, Markdown, or config names alone."""
    if form == "names":
        return "".join(f"{entry.config}\n" for entry in entries)
    if form == "csv":
        return _as_csv(entries)
    return _as_markdown(entries) if form == "md" else _as_table(entries)


def write_csv(entries: Sequence[Published], path: Path) -> None:
    """Write the table file."""
    path.write_text(_as_csv(entries), encoding="utf-8")


def requirements(entry: Published) -> str:
    """What an entry needs beside MMSegmentation, in words; empty if nothing."""
    return ", ".join([*entry.needs, *([] if entry.available else [ABSENT])])


def _as_csv(entries: Iterable[Published]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for e in entries:
        height, width = e.crop_size or ("", "")
        writer.writerow(
            [e.config, e.family, e.backbone, e.dataset, height, width, e.miou, e.memory_gb,
             "; ".join(e.needs), str(e.available).lower(), e.sha256_prefix, e.weights_url,
             e.license]
        )  # fmt: skip
    return text.getvalue()


def _cells(e: Published) -> list[str]:
    crop = f"{e.crop_size[0]}x{e.crop_size[1]}" if e.crop_size else NOT_THERE
    miou = NOT_THERE if e.miou is None else f"{100 * e.miou:.2f}"
    memory = NOT_THERE if e.memory_gb is None else f"{e.memory_gb:.1f}"
    cells = [e.config, e.family, e.backbone, e.dataset, crop, miou, memory, requirements(e)]
    return [*cells, e.license]


HEADER = [
    "config",
    "family",
    "backbone",
    "dataset",
    "crop",
    "mIoU %",
    "GB",
    "also needs",
    "licence",
]
ALIGNED = ["left"] * 4 + ["right"] * 3 + ["left"] * 3


def _as_table(entries: Sequence[Published]) -> str:
    table = _tabulated(HEADER, [*map(_cells, entries)], "plain")
    return "".join(f"{line.rstrip()}\n" for line in table.splitlines())


def _as_markdown(entries: Sequence[Published]) -> str:
    rows = [[*_cells(e), f"[{e.sha256_prefix or 'file'}]({e.weights_url})"] for e in entries]
    return f"{_tabulated([*HEADER, 'weights'], rows, 'pipe')}\n"


def _tabulated(header: Sequence[str], rows: Sequence[Sequence[str]], form: str) -> str:
    """A table of the columns that say something; that of licences does beside the zoo's alone."""
    said = [i for i, name in enumerate(header) if name != "licence" or any(r[i] for r in rows)]
    text: str = tabulate(
        [[row[i] for i in said] for row in rows],
        [header[i] for i in said],
        form,
        colalign=[ALIGNED[i] for i in said],
        disable_numparse=True,
    )
    return text


def _text(entry: Published) -> str:
    return " ".join([entry.config, entry.family, entry.backbone, entry.dataset, *entry.needs])


def _holds(text: str, word: str) -> bool:
    return word.lower() in text.lower()
