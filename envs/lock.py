"""Write the lock and the conda environment from one resolved environment.

Run by `make lock`, in a fresh virtual environment into which requirements.in was installed.
Two kinds of package are left out of the lock:

* `opencv-python`, which MMCV and MMSegmentation ask for: it provides the same module as the
  headless build but needs libGL. This is why the lock is installed with `--no-deps`.
* what torch itself brings for CUDA (`nvidia-*`, `triton`): torch pins these exactly in its own
  metadata, differently for each platform, so they are installed with torch, before the lock.
"""

from importlib.metadata import distributions
from pathlib import Path

HERE = Path(__file__).parent
NOT_LOCKED = ("opencv-python", "nvidia-", "triton", "cuda-", "pip")
NEEDS_NO_DEPS = ("onedl-",)  # these would bring opencv-python

LOCK_HEADER = """\
# One tested closure, made by `make lock`; do not edit. Install it as `make setup` does:
# torch with its own dependencies first, then this file with --no-deps (see envs/lock.py).
"""
CONDA_HEADER = """\
# Made by `make lock` from the same pins as requirements.lock; do not edit.
# Used by `snakemake --sdm conda`. The packages that would bring OpenCV's desktop build are
# installed without dependencies by segbench.post-deploy.sh.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
  - pip:
"""
POST_DEPLOY_HEADER = """\
#!/usr/bin/env bash
# Made by `make lock`; do not edit. Snakemake runs it after creating the conda environment.
set -euo pipefail
python -m pip install --no-deps \\
"""


def is_locked(name: str) -> bool:
    """Tell whether the package `name` belongs into the lock."""
    return name == "opencv-python-headless" or not name.startswith(NOT_LOCKED)


def installed_pins() -> list[str]:
    """List `name==version` of every installed package that belongs into the lock, sorted."""
    pins = {d.name.lower().replace("_", "-"): d.version.split("+")[0] for d in distributions()}
    return [f"{name}=={version}" for name, version in sorted(pins.items()) if is_locked(name)]


def main() -> None:
    pins = installed_pins()
    resolved = [pin for pin in pins if not pin.startswith(NEEDS_NO_DEPS)]
    bare = [pin for pin in pins if pin.startswith(NEEDS_NO_DEPS)]
    (HERE / "requirements.lock").write_text(LOCK_HEADER + "".join(f"{p}\n" for p in pins))
    (HERE / "segbench.yaml").write_text(CONDA_HEADER + "".join(f"      - {p}\n" for p in resolved))
    (HERE / "segbench.post-deploy.sh").write_text(
        POST_DEPLOY_HEADER + " \\\n".join(f"  {p}" for p in bare) + "\n"
    )


if __name__ == "__main__":
    main()
