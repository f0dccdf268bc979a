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

from segbench.datasets.description import DatasetDescription
from segbench.errors import ConfigError


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


def origin_of_dataset(dataset: DatasetDescription, code: str, listing: str, manifest: str) -> str:
    """What a prepared dataset comes from: code and description, and the files of its source.

    Where the source is absent, the files are taken to be those that it was prepared from.

    Args:
        dataset: its description, with its source in place.
        code: digest of the code that prepares it.
        listing: digest of the files of a source that is read where it is.
        manifest: path of the prepared dataset's manifest.

    Raises:
        ConfigError: the source is absent, and the dataset was prepared from another description.
    """
    made_from = dataset.model_dump(mode="json", exclude={"source"})
    prepared = digest_of(code=code, description=made_from)
    path = dataset.source.path
    if path is None or Path(path).exists():
        return f"{prepared}:{listing}"
    before, _, listed = (read_record(manifest) or "").partition(":")
    if before and before != prepared:
        raise ConfigError(
            f"{path}: no such source, and the dataset '{dataset.name}' was prepared from another "
            "description. Put the source there, or correct its path, to prepare it anew."
        )
    return f"{prepared}:{listed}"
