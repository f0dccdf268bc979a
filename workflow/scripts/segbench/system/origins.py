"""What a result came from, beside the result: changes are noticed without Snakemake's records.

Snakemake keeps what it knows of parameters in `.snakemake/`, which is not carried along with
results, and judges inputs by their time, which a copy changes. Each script leaves a small file
beside its first output instead, which is compared when a workflow is planned.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from segbench.system.files import sha256_of

LARGEST_HASHED = 2**30  # bytes; an archive of tens of gigabytes takes minutes


@dataclass(frozen=True, slots=True)
class Origin:
    """What the outputs of a job came from.

    Attributes:
        came_from: digest of code and settings; empty where the rule has none.
        inputs: what each input was: its SHA-256, `folder`, or `large` where it was not hashed.
        outputs: all outputs of the job.
        benchmark: its benchmark file, whose time Snakemake looks at, too; it may be absent.
    """

    came_from: str = ""
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    benchmark: str = ""

    @property
    def timed(self) -> list[Path]:
        """What must be newer than the inputs."""
        there = [self.benchmark] if self.benchmark and Path(self.benchmark).is_file() else []
        return [_timed(path) for path in (*self.outputs, *there)]


def digest_of(**settings: Any) -> str:
    """Digest of settings, 16 hexadecimal digits; lists and tuples are the same."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def origin_path(output: str | Path) -> Path:
    """Where it stands what an output came from."""
    return Path(output).with_name(f".{Path(output).name}.came_from")


def write_origin(
    outputs: Sequence[str], inputs: Iterable[str], came_from: str = "", benchmark: str = ""
) -> None:
    """Leave beside the first of a job's outputs what they all came from."""
    content = {path: _content(Path(path)) for path in inputs}
    origin = Origin(came_from, content, list(outputs), benchmark)
    origin_path(outputs[0]).write_text(json.dumps(asdict(origin)) + "\n")


def read_origin(output: str | Path) -> Origin | None:
    """What an output came from, None where nobody left it or it cannot be read."""
    try:
        return Origin(**json.loads(origin_path(output).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def stale(expected: Mapping[str, str]) -> set[str]:
    """Outputs that are there but came from something else than they would come from now.

    Args:
        expected: what each output would come from.
    """
    found = {output: read_origin(output) for output in expected if Path(output).exists()}
    return {
        output
        for output, origin in found.items()
        if origin is not None and origin.came_from != expected[output]
    }


def restore_order(first_outputs: Iterable[str]) -> list[str]:
    """Make outputs newer than their inputs where these are what they were, as after a copy.

    Args:
        first_outputs: the first output of each job, in the order of the jobs.

    Returns:
        Those that were touched.
    """
    touched = []
    for output in first_outputs:
        origin = read_origin(output)
        if origin and _is_out_of_order(origin) and _has_its_inputs(origin):
            for path in origin.timed:
                os.utime(path)
            touched.append(output)
    return touched


def _is_out_of_order(origin: Origin) -> bool:
    """Whether all files are there, and an input is newer than an output."""
    try:
        inputs = [_timed(path).stat().st_mtime_ns for path in origin.inputs]
        outputs = [path.stat().st_mtime_ns for path in origin.timed]
    except OSError:
        return False
    return bool(inputs and outputs) and max(inputs) > min(outputs)


def _timed(path: str) -> Path:
    """What Snakemake reads the time of: of a folder that it made, a file inside."""
    stamp = Path(path) / ".snakemake_timestamp"
    return stamp if stamp.is_file() else Path(path)


def _has_its_inputs(origin: Origin) -> bool:
    if "large" in origin.inputs.values():
        return False
    # the small ones first: where one differs, a checkpoint need not be read
    paths = sorted(origin.inputs, key=lambda path: Path(path).stat().st_size)
    return all(_content(Path(path)) == origin.inputs[path] for path in paths)


def _content(path: Path) -> str:
    """What stands for the content of an input; that of a folder is judged by what came from it."""
    if path.is_dir():
        return "folder"
    return sha256_of(path) if path.stat().st_size <= LARGEST_HASHED else "large"
