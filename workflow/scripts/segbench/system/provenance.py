"""What a run came from: the digest of all that shapes it, and the versions of packages."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import ConfigDict

from segbench.system.config_text import what_counts
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


def run_digest(config: Path, manifest: Path, code: str, weights: Path | None) -> str:
    """Digest of everything that shapes a training: config, data, code and initial weights.

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
    hasher = hashlib.sha256(f"{code}\n{content}\n".encode())
    hasher.update(what_counts(config.read_text(encoding="utf-8")).encode())
    if weights:
        hasher.update(hashlib.sha256(weights.read_bytes()).digest())
    return hasher.hexdigest()[:16]


def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a result."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
