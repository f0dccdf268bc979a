"""Choose the device of a job, so that two jobs on one machine never share a GPU by accident.

Snakemake counts GPUs but does not hand them out. A job leases one by locking a file per GPU; the
lock is gone with the process, however it ends. Imports torch only when a lease is asked for.
"""

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

LOG = logging.getLogger(__name__)
POLL_SECONDS = 2.0


def cuda_seems_present() -> bool:
    """Whether this machine seems to have an NVIDIA GPU, asked without importing torch."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    return hidden not in ("", "-1") and any(Path("/dev").glob("nvidia[0-9]*"))


@contextlib.contextmanager
def lease_device(wait: bool = True) -> Iterator[str]:
    """Hold a device for as long as the context lasts.

    A scheduler that sets CUDA_VISIBLE_DEVICES to one GPU has chosen already; otherwise the first
    GPU that no other job of this machine holds is taken.

    Args:
        wait: wait for a GPU while all of them are held.

    Yields:
        `cuda:<index>`, or `cpu` where no CUDA device exists.
    """
    import torch

    count = torch.cuda.device_count()
    if count == 0:
        LOG.info("device: CPU, because no CUDA device was found")
        yield "cpu"
        return
    lock, index = _lock_one(count, wait)
    try:
        torch.cuda.set_device(index)
        LOG.info("device: cuda:%d, %s", index, torch.cuda.get_device_name(index))
        yield f"cuda:{index}"
    finally:
        lock.release()


def _lock_one(count: int, wait: bool) -> tuple[FileLock, int]:
    """Lock the file of the first free GPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").replace(",", "_") or "all"
    folder = Path(tempfile.gettempdir()) / f"segbench-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    while True:
        for index in range(count):
            # processes that read images and outlive a killed training do not hold it
            lock = FileLock(folder / f"{visible}-{index}.lock")
            try:
                lock.acquire(timeout=0)
                return lock, index
            except Timeout:
                continue
        if not wait:
            raise RuntimeError("every GPU of this machine is held by another job")
        time.sleep(POLL_SECONDS)
