"""Whether a machine has a GPU, asked without importing torch."""

import os
from pathlib import Path


def cuda_seems_present() -> bool:
    """Whether this machine seems to have an NVIDIA GPU, asked without importing torch."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    return hidden not in ("", "-1") and any(Path("/dev").glob("nvidia[0-9]*"))
