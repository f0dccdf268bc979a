"""What a run came from: the digest of all that shapes it, and the versions of packages."""

import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# packages whose version can change what a run gives
PACKAGES = ("torch", "onedl-mmsegmentation", "onedl-mmcv", "onedl-mmengine", "numpy",
            "opencv-python-headless", "pillow", "snakemake")  # fmt: skip


def run_digest(config: Path, manifest: Path, code: str, weights: Path | None) -> str:
    """Digest of everything that shapes a training: config, data, code and initial weights.

    Of the manifest only the content counts, so that a dataset may move to another place.

    Args:
        config: rendered config of the run.
        manifest: `manifest.json` of the dataset.
        code: digest of the training code.
        weights: checkpoint that the backbone starts from, if any.
    """
    content = json.loads(manifest.read_text())["content_sha256"]
    hasher = hashlib.sha256(f"{code}\n{content}\n".encode())
    for path in (config, *([weights] if weights else [])):
        hasher.update(hashlib.sha256(path.read_bytes()).digest())
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
