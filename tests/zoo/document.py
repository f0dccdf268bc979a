"""Write docs/zoo.md and docs/zoo.csv from the outcomes of the sweep."""

import csv
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segbench.zoo.index import OWN_CONFIGS, Published, all_published, own_configs
from segbench.zoo.reader import OTHER_TASKS

ABSENT = "the index names a config file that is not in the package"
COLUMNS = (
    "config", "family", "backbone", "dataset", "needs", "outcome", "parameters", "tried_as",
    "reason",
)  # fmt: skip
OUTCOMES = {
    "works": "works",
    "builds": "builds, no step taken",
    "needs": "needs what is not installed",
    "other": "for another task",
    "fails": "does not work",
    "absent": "no config file",
    "untried": "not tried yet",
}
TRIED = ("works", "builds", "fails")
Results = Mapping[tuple[str, int], Mapping[str, Any]]
Row = dict[str, Any]


def write_documents(root: Path, results: Results) -> None:
    """Write both files from the outcomes by (config, number of classes)."""
    rows = [outcome_row(entry, results) for entry in [*all_published(), *own_configs()]]
    (root / "docs/zoo.csv").write_text(_as_csv(rows), encoding="utf-8")
    (root / "docs/zoo.md").write_text(_as_page(rows), encoding="utf-8")


def outcome_row(entry: Published, results: Results) -> Row:
    """One entry of the index and what came of it: the worse of both numbers of classes."""
    row: Row = {"config": entry.config, "family": entry.family, "backbone": entry.backbone,
                "dataset": entry.dataset, "needs": entry.needs}  # fmt: skip
    if not entry.available:
        return row | {"outcome": "absent", "reason": ABSENT}
    seven, more = results.get((entry.config, 7)), results.get((entry.config, 26))
    if seven is None:
        return row | {"outcome": "untried", "reason": ""}
    if any(said in seven["reason"] for said in OTHER_TASKS.values()):
        return row | {"outcome": "other", "reason": seven["reason"]}
    worse = more if more and more["outcome"] == "fails" else seven
    return row | {
        "outcome": worse["outcome"],
        "reason": worse["reason"],
        "parameters": seven.get("parameters"),
        "tried_as": seven.get("same_as"),
        "both": more is not None,
    }


def _as_csv(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in sorted(rows, key=lambda row: row["config"]):
        # the remedy of a missing package is long and said once, on the page
        reason = "" if row["outcome"] == "needs" else row["reason"]
        writer.writerow(row | {"reason": reason, "needs": ", ".join(row["needs"])})
    return text.getvalue()


def summary(rows: list[Row]) -> str:
    """The figures at the top of the page, in sentences."""
    zoo, own = of_the_zoo(rows), [row for row in rows if is_own(row)]
    count = Counter(row["outcome"] for row in zoo)
    works, built = count["works"], count["builds"]
    extra = sum(bool(row["needs"]) and row["outcome"] == "works" for row in zoo)
    both = sum(bool(row.get("both")) for row in zoo)
    large = f" Built but too large to be stepped in a sweep: {built}." if built else ""
    untried = f" {count['untried']} have not been tried yet." if count["untried"] else ""
    lacking = f" {count['needs']} need a package that was not there." if count["needs"] else ""
    of_own = sum(row["outcome"] == "works" for row in own)
    return (
        f"The index lists {len(zoo)} models. **{works} of these ({100 * works / len(zoo):.1f} %) "
        "work**: adapted to 7 classes, built, one training step taken and one image predicted. "
        f"{works - extra} of them need nothing but the pinned environment, and {extra} an extra."
        f"{large} Adapted to 26 classes and built, too: {both}.{untried}{lacking} "
        f"{count['other']} are for another task; {count['absent']} entries name a config file that "
        f"is not in the package. Of the {len(own)} configs in `config/models`, {of_own} work."
    )


def is_own(row: Row) -> bool:
    """Whether a row is a config of this repository."""
    return str(row["config"]).startswith(f"{OWN_CONFIGS}/")


def of_the_zoo(rows: list[Row]) -> list[Row]:
    """The rows of published models."""
    return [row for row in rows if not is_own(row)]


def _as_page(rows: list[Row]) -> str:
    failures = [row for row in rows if row["outcome"] in ("fails", "other")]
    tried = len({row["config"] for row in rows if row["outcome"] in TRIED and not row["tried_as"]})
    lines = [
        "# What of the zoo works",
        "",
        "Written by `make test-zoo`, on a CPU, with random images of 75x95 pixels and crops of "
        "64x96 (LR-ASPP: 400x416). Configs that differ only in their schedule or their published "
        f"dataset are one model, tried once, {tried} in all. [zoo.csv](zoo.csv) has every entry.",
        "",
        summary(rows),
        "",
        *_family_table(rows),
        "",
        "## What needs an extra",
        "",
        *_needs_table(rows),
        "",
        "## What does not work",
        "",
        *([f"- `{row['config']}`: {row['reason']}" for row in failures] or ["Nothing."]),
        "",
    ]
    return "\n".join(lines)


def _family_table(rows: list[Row]) -> list[str]:
    shown = [key for key in OUTCOMES if any(row["outcome"] == key for row in rows)]
    lines = [
        f"| family | entries | {' | '.join(OUTCOMES[key] for key in shown)} |",
        f"|---|{'---:|' * (len(shown) + 1)}",
    ]
    for family in sorted({row["family"] for row in rows}, key=str.lower):
        count = Counter(row["outcome"] for row in rows if row["family"] == family)
        cells = [str(count[key] or "") for key in shown]
        lines.append(f"| {family} | {sum(count.values())} | {' | '.join(cells)} |")
    return lines


def _needs_table(rows: list[Row]) -> list[str]:
    lacking = [row for row in rows if row["needs"] and row["outcome"] != "other"]
    count = Counter((row["needs"], row["family"]) for row in lacking)
    works = Counter((row["needs"], row["family"]) for row in lacking if row["outcome"] == "works")
    lines = ["| needs | family | entries | work |", "|---|---|---:|---:|"]
    lines += [
        f"| {', '.join(key[0])} | {key[1]} | {number} | {works[key]} |"
        for key, number in sorted(count.items())
    ]
    return lines
