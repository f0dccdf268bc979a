"""Choose the device of a job, so that two jobs on one machine never share a GPU by accident.

Snakemake counts GPUs but does not hand them out. A job leases one by locking a file per GPU; the
lock is gone with the process, however it ends. Imports torch only when a lease is asked for.
"""

import contextlib
import logging
import os
import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from segbench.errors import ModelError
from segbench.system.gpus import named_devices

LOG = logging.getLogger(__name__)
POLL_SECONDS = 2.0


@contextlib.contextmanager
def lease_device(wait: bool = True) -> Iterator[str]:
    """Hold one device for as long as the context lasts; see `lease_devices`."""
    with lease_devices(1, wait) as devices:
        yield devices[0]


@contextlib.contextmanager
def lease_devices(count: int, wait: bool = True) -> Iterator[list[str]]:
    """Hold devices for as long as the context lasts.

    The first ones that no other job of this machine holds are taken, of those that a scheduler
    shows in CUDA_VISIBLE_DEVICES. Another list can be named in SEGBENCH_DEVICES, such as `cpu,cpu`.

    Args:
        count: how many.
        wait: wait while too many of them are held.

    Yields:
        Names such as `cuda:0`; one `cpu` where no CUDA device exists.

    Raises:
        ModelError: the machine has fewer.
        RuntimeError: too many are held, and it was not to wait.
    """
    devices = _devices_here()
    if not devices:
        LOG.info("device: CPU, because no CUDA device was found")
        yield ["cpu"]
        return
    if len(devices) < count:
        raise ModelError(
            f"`training.gpus_per_run` is {count}, but this job sees {len(devices)} "
            f"({', '.join(devices)}). Lower it, or give the job more: on one machine by "
            f"`--resources gpu={count}`."
        )
    locks = _lock(devices, count, wait)
    try:
        leased = [devices[index] for index in locks]
        LOG.info("device: %s", ", ".join(_described(device) for device in leased))
        _use_by_default(leased[0])
        yield leased
    finally:
        for lock in locks.values():
            lock.release()


def _devices_here() -> list[str]:
    """The devices that jobs of this machine may take.

    Raises:
        ModelError: one is named that is not there.
    """
    import torch

    there = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    named, known = named_devices(), ["cpu", *there]
    for name in named:
        if name not in known:
            raise ModelError(
                f"SEGBENCH_DEVICES names '{name}', but this machine has {', '.join(known)}. "
                "Correct the variable, or unset it."
            )
    return named or there


def device_name(device: str) -> str:
    """What a device is called by those who made it; `CPU` for a CPU."""
    import torch

    return "CPU" if device == "cpu" else str(torch.cuda.get_device_name(device))


def device_in_words(device: str) -> str:
    """The name of a device, on a CPU with the number of threads."""
    import torch

    name = device_name(device)
    return f"{name}, {torch.get_num_threads()} threads" if device == "cpu" else name


def reset_peak(device: str) -> None:
    """Begin to measure `peak_bytes` anew, where the device can; a CPU cannot."""
    import torch

    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: str) -> int:
    """The most memory of a device that was in use; on a CPU, that of this process."""
    import torch

    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return torch.cuda.max_memory_allocated(device)


def _described(device: str) -> str:
    return device if device == "cpu" else f"{device}, {device_name(device)}"


def _use_by_default(device: str) -> None:
    import torch

    if device != "cpu":
        torch.cuda.set_device(device)


def _lock(devices: Sequence[str], count: int, wait: bool) -> dict[int, FileLock]:
    """Lock the files of the first free devices, all that are asked for or none."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").replace(",", "_") or "all"
    folder = Path(tempfile.gettempdir()) / f"segbench-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    while True:
        held = dict[int, FileLock]()
        for index in range(len(devices)):
            # processes that read images and outlive a killed training do not hold it
            lock = FileLock(folder / f"{visible}-{index}.lock")
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0)
                held[index] = lock
            if len(held) == count:
                return held
        # two jobs that each held a part of what they need would wait for one another
        for lock in held.values():
            lock.release()
        if not wait:
            raise RuntimeError("too many GPUs of this machine are held by other jobs")
        time.sleep(POLL_SECONDS)
