"""What a run came from: the digest of all that shapes it, and the versions of packages."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from segbench.system.config_text import what_counts
from segbench.system.files import sha256_of
from segbench.system.records import Record

# packages whose version can change what a run gives
PACKAGES = ("torch", "onedl-mmsegmentation", "onedl-mmcv", "onedl-mmengine", "numpy",
            "opencv-python-headless", "pillow", "snakemake")  # fmt: skip


class PreparedContent(Record):
    """What of the manifest of a dataset decides whether a training is the same.

    Attributes:
        content_sha256: of all that a model can see.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    content_sha256: str


class CameFrom(BaseModel):
    """Everything that shapes a training.

    Attributes:
        digest: of all of it.
        dataset: hash of what a model can see of the data.
        config: SHA-256 of what counts of the rendered config.
        weights: SHA-256 of the file with the initial weights, if any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    digest: str
    dataset: str
    config: str
    weights: str | None


def run_digest(config: Path, manifest: Path, code: str, weights: Path | None) -> str:
    """Digest of everything that shapes a training; see `where_from`."""
    return where_from(config, manifest, code, weights).digest


def where_from(config: Path, manifest: Path, code: str, weights: Path | None) -> CameFrom:
    """Everything that shapes a training: config, data, code and initial weights.

    Of the manifest only the content counts, so that a dataset may move to another place, and names
    and colours of classes do not.

    Args:
        config: rendered config of the run.
        manifest: `manifest.json` of the dataset.
        code: digest of the training code.
        weights: checkpoint that the run starts from, if any.

    Raises:
        DataError: the manifest is missing, damaged or of another version.
    """
    content = PreparedContent.read(manifest).content_sha256
    counts = what_counts(config.read_text(encoding="utf-8")).encode()
    initial = sha256_of(weights) if weights else None
    hasher = hashlib.sha256(f"{code}\n{content}\n".encode())
    hasher.update(counts)
    if initial:
        hasher.update(bytes.fromhex(initial))
    return CameFrom(
        digest=hasher.hexdigest()[:16],
        dataset=content,
        config=hashlib.sha256(counts).hexdigest(),
        weights=initial,
    )


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a result."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
