"""Which GPUs a machine has, asked without importing torch."""

import os
from pathlib import Path


def cuda_seems_present() -> bool:
    """Whether this machine seems to have an NVIDIA GPU that may be used."""
    return gpus_seen() > 0


def gpus_seen() -> int:
    """How many NVIDIA GPUs of this machine may be used, as far as its device files tell."""
    there = len([*Path("/dev").glob("nvidia[0-9]*")])
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return there
    names = [name for name in shown.split(",") if name.strip() not in ("", "-1")]
    return min(there, len(names))


def named_devices() -> list[str]:
    """The devices that SEGBENCH_DEVICES names, such as `cpu,cpu`; none where it is not set."""
    names = os.environ.get("SEGBENCH_DEVICES", "").split(",")
    return [name.strip() for name in names if name.strip()]


def devices_of_jobs() -> int:
    """How many devices jobs of this machine can hold at a time, 0 where all of them use the CPU."""
    return len(named_devices()) or gpus_seen()
