"""What a result came from, beside the result: changes are noticed without Snakemake's records.

Snakemake keeps what it knows of parameters in `.snakemake/`, which is not carried along with
results. Each script leaves a small file beside its first output instead, which is compared when a
workflow is planned.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def digest_of(**settings: Any) -> str:
    """Digest of settings, 16 hexadecimal digits; lists and tuples are the same."""
    text = json.dumps(settings, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def record_path(output: str | Path) -> Path:
    """Where it stands what an output came from."""
    return Path(output).with_name(f".{Path(output).name}.came_from")


def write_record(output: str | Path, came_from: str) -> None:
    """Leave beside an output what it came from."""
    record_path(output).write_text(f"{came_from}\n")


def read_record(output: str | Path) -> str | None:
    """What an output came from, None where nobody left it."""
    try:
        return record_path(output).read_text().strip()
    except OSError:
        return None


def stale(expected: Mapping[str, str]) -> set[str]:
    """Outputs that are there but came from something else than they would come from now.

    Args:
        expected: what each output would come from.
    """
    recorded = {output: read_record(output) for output in expected if Path(output).exists()}
    return {output for output, found in recorded.items() if found not in (None, expected[output])}
