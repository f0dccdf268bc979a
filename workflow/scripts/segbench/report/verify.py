"""Prove that the tables of an experiment follow from its confusion matrices.

Nothing is trusted that can be computed again: scores from counts, tables from scores. Weights and
counts are confirmed by the hashes that were noted when they were written.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from segbench.datasets.manifest import Manifest
from segbench.errors import DataError
from segbench.report.compare import write_tables
from segbench.report.comparison import Comparison
from segbench.report.record import NAME, ComparedRun, ComparisonRecord
from segbench.report.screening import remarks_in
from segbench.scores import metrics
from segbench.system.files import sha256_of
from segbench.system.run_records import MetricsRecord, TrainRecord, remake
from segbench.system.screening_records import DECISION

REMEDY = "Remove it and run the workflow again."
Item = TypeVar("Item")
Found = TypeVar("Found")
SHOWN = 300  # characters of a line that differs


class VerificationError(DataError):
    """Something is not what it was, or does not follow from what it is said to."""


def verify(results: Path) -> list[str]:
    """Verify an experiment.

    Args:
        results: its folder, `results/<experiment>`.

    Returns:
        What was confirmed, in sentences; what could not be, too.

    Raises:
        VerificationError: all that is not right in the runs; if they are right, in the tables.
        DataError: the record of the comparison is missing or damaged.
    """
    found = ComparisonRecord.read(results / "tables" / NAME)
    prepared = results.parent / "datasets" / found.dataset
    if Manifest.read(prepared / "manifest.json").content_sha256 != found.content_sha256:
        raise VerificationError(
            f"{prepared}: holds other data than {results} was made from. Run the workflow again."
        )
    folders = [run.folder for run in found.runs]
    noted = _each(
        lambda folder: _verify_run(results / "runs" / folder, found.content_sha256), folders
    )
    tables = _verify_tables(results, prepared, found)
    counts = sum(one.counts for one in noted)
    weights = [folder for folder, one in zip(folders, noted, strict=True) if one.weights]
    sentences = [
        f"{len(folders)} runs: scores follow from their confusion matrices",
        f"{counts} runs: counts are those that were noted",
        f"{len(weights)} runs: weights are those that were noted",
        f"{len(tables)} files made again, equal to the byte: {', '.join(tables)}",
    ]
    if rest := [folder for folder in folders if folder not in weights]:
        sentences.append(f"no weights, or no hash of them, in: {', '.join(rest)}")
    return sentences


def _each(check: Callable[[Item], Found], items: Iterable[Item]) -> list[Found]:
    """What a check finds of each item.

    Raises:
        VerificationError: with what is not right in any of them.
    """
    found, wrong = [], []
    for item in items:
        try:
            found.append(check(item))
        except DataError as error:
            wrong.append(str(error))
    if wrong:
        raise VerificationError("\n".join(wrong))
    return found


@dataclass(frozen=True, slots=True)
class _Noted:
    """Of which files of a run a hash was noted, and is right."""

    counts: bool
    weights: bool


def _verify_run(folder: Path, dataset: str) -> _Noted:
    """Verify one run.

    Raises:
        VerificationError: something is not what it was.
    """
    trained = TrainRecord.read(folder / "train.json")
    scored = MetricsRecord.read(folder / "metrics.json")
    counts_path, weights = folder / "confusion.npz", folder / "best.pth"
    _confirm(counts_path, {"metrics.json": scored.confusion_sha256})
    _confirm(folder / "conditions.npz", {"metrics.json": scored.conditions_sha256})
    noted = {"train.json": trained.checkpoint_sha256, "metrics.json": scored.checkpoint_sha256}
    has_weights = weights.is_file()  # results are often handed on without
    if has_weights:
        _confirm(weights, noted)
    # a run that was trained on the source dataset starts from other data
    if trained.is_trained and trained.dataset_sha256 not in (None, dataset):
        raise VerificationError(
            f"{folder}: was trained on other data. {remake(folder / 'best.pth')}"
        )
    with np.load(counts_path) as stored:
        counts = stored["confusion"].sum(0)
    for name, said, computed in _scores(scored, counts):
        if not _same(said, computed):
            raise VerificationError(
                f"{folder / 'metrics.json'}: `{name}` is {said}, but {counts_path.name} gives "
                f"{computed}. {remake(folder / 'metrics.json')}"
            )
    return _Noted(scored.confusion_sha256 is not None, has_weights and any(noted.values()))


def _confirm(path: Path, noted: Mapping[str, str | None]) -> None:
    """Compare a file with the hashes that records noted of it; it is read once."""
    known = {record: digest for record, digest in noted.items() if digest is not None}
    if known and not path.is_file():
        raise VerificationError(f"{path}: no such file. {remake(path)}")
    found = sha256_of(path) if known else ""
    for record, digest in known.items():
        if found != digest:
            raise VerificationError(
                f"{path}: is not the file that {record} was written for: its SHA-256 is "
                f"{found[:16]}..., and {digest[:16]}... was noted. {remake(path)}"
            )


def _scores(
    scored: MetricsRecord, counts: metrics.Counts
) -> Iterator[tuple[str, float | None, float]]:
    """Name, noted and computed value of every score."""
    summary = metrics.summary(counts)
    for name in ("miou", "aacc", "macc"):
        yield name, getattr(scored, name), summary[name]
    for (label, noted), computed in zip(scored.iou.items(), metrics.class_iou(counts), strict=True):
        yield f"iou.{label}", noted, float(computed)


def _same(noted: float | None, computed: float) -> bool:
    return noted == computed or (noted is None and bool(np.isnan(computed)))


def _verify_tables(results: Path, prepared: Path, found: ComparisonRecord) -> list[str]:
    """Write every table again and compare; names of the files.

    Raises:
        VerificationError: the files that differ, each with its first line that does.
    """
    with tempfile.TemporaryDirectory(prefix="segbench-verify-") as place:
        again = Path(place) / "tables"
        again.mkdir()
        compared = Comparison.read(
            [run.key for run in found.runs],
            [_folder(results, run) for run in found.runs],
            prepared,
            found.classes,
            results / "check/slices.csv" if found.own_parts else None,
            found.under_conditions,
            levels=found.levels,
            experiment=found.experiment,
            unfinished=found.unfinished,
            configs=found.configs,
            citation=found.citation,
            screening=remarks_in(str(results / DECISION) if found.screened else []),
        )
        write_tables(compared, again)
        names = sorted(path.name for path in again.iterdir())
        pairs = [(results / "tables" / name, again / name) for name in names]
        pairs.append((results / "README.md", Path(place) / "README.md"))
        _each(lambda pair: _compare(*pair), pairs)
    return [*names, "README.md"]


def _folder(results: Path, run: ComparedRun) -> Path:
    return results / "runs" / run.folder


def _compare(there: Path, again: Path) -> None:
    if not there.is_file():
        raise VerificationError(f"{there}: no such file. Run the workflow again.")
    ours, theirs = again.read_bytes(), there.read_bytes()
    if ours == theirs:
        return
    lines = list(zip(theirs.split(b"\n"), ours.split(b"\n"), strict=False))
    number, (noted, computed) = next(
        (i, pair) for i, pair in enumerate([*lines, (b"(more lines)", b"(the end)")], 1)
        if pair[0] != pair[1]
    )  # fmt: skip
    shorter = min(len(noted), len(computed))
    start = next((i for i in range(shorter) if noted[i] != computed[i]), shorter)
    raise VerificationError(
        f"{there}: does not follow from the confusion matrices. Line {number} is\n"
        f"  {_around(noted, start)}\nand should be\n  {_around(computed, start)}\n{REMEDY}"
    )


def _around(line: bytes, place: int) -> str:
    """A line, or of a long one what is around a place."""
    first = max(0, place - SHOWN // 2) if len(line) > SHOWN else 0
    text = line[first : first + SHOWN].decode(errors="replace")
    return f"{'... ' * bool(first)}{text}{' ...' * (first + SHOWN < len(line))}"
