"""What goes wrong with a machine in the middle of a training, said as a user can act on it.

Imports torch.
"""

import gc
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import torch

from segbench.errors import ModelError

# PyTorch's own class covers accelerators alone
NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory")
READER = "DataLoader worker"
SHARED_MEMORY = ("bus error", "shared memory")
BY_PYTORCH = list[Callable[[int, FrameType | None], object]]()  # what it does when a child ends
CAUSES = list[str]()  # of the deaths of readers that were not raised yet


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on any device."""
    text = str(error).lower()
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or (isinstance(error, RuntimeError) and any(word in text for word in NO_MEMORY))


def largest_batch(
    step: Callable[[Mapping[str, Sequence[object]]], object],
    batch: Mapping[str, Sequence[object]],
) -> int:
    """Find by trial how many images of a batch that did not fit do fit.

    Args:
        step: one whole iteration; what it leaves in the model is of no use afterwards.
        batch: `inputs` and `data_samples`, which did not fit together.

    Returns:
        0 if not even one image does.
    """
    fits, too_many = 0, len(batch["inputs"])
    while too_many - fits > 1:
        tried = (fits + too_many) // 2
        _free()
        try:
            step({key: values[:tried] for key, values in batch.items()})
            fits = tried
        except ValueError:  # batch norm wants more than one value
            break
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            too_many = tried
    _free()
    return fits


def beyond_memory(run: str, device: str, batch: int, fits: int | None) -> ModelError:
    """The error of a batch that does not fit.

    Args:
        run: its name.
        device: where.
        batch: images of the batch.
        fits: how many were found to fit, 0 for none, None where that was not tried.
    """
    if fits:
        remedy = f"{fits} of them fit: set `training.batch_size: {fits}` for this model"
    elif fits == 0:
        remedy = "not even one fits: lower `training.crop_size` for this model"
    else:
        remedy = "lower `training.batch_size` for this model"
    return ModelError(
        f"{run}: {device} has not enough memory for a batch of {batch} images; {remedy}, or use "
        "`precision: bfloat16` (`float16` on GPUs before NVIDIA's Ampere). Other work on the same "
        "device takes memory, too."
    )


def read_on(loader: Iterable[object]) -> Iterator[Any]:
    """Begin to read batches; that a process which reads them died is raised with the next batch.

    PyTorch raises it wherever the main process is at that moment, also between two files of a save.
    The batch that it reads is the place where the training can still be saved.
    """
    batches = iter(loader)
    raise_at_once = signal.getsignal(signal.SIGCHLD)
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and callable(raise_at_once) and raise_at_once is not _note_death:
        BY_PYTORCH.append(raise_at_once)
        signal.signal(signal.SIGCHLD, _note_death)
    return batches


def _note_death(number: int, frame: FrameType | None) -> None:
    try:
        BY_PYTORCH[-1](number, frame)
    except RuntimeError as error:
        if READER not in str(error):
            raise
        CAUSES.append(str(error))


def reader_died(error: BaseException) -> ModelError | None:
    """The error of a process that read images and ended in the middle of it; None for others."""
    if READER not in str(error):
        return None
    text = " ".join((str(error), *CAUSES))
    CAUSES.clear()
    if any(word in text.lower() for word in SHARED_MEMORY):
        return ModelError(
            "a process that reads images ran out of shared memory (/dev/shm). In a container give "
            "more, for instance by `docker run --shm-size 8g`; or start Snakemake with fewer "
            "`--cores`. Run again: the training goes on from its saved state."
        )
    return ModelError(
        "a process that reads images was killed, most likely because the machine or the job ran "
        "out of memory. Give the job more memory, or start Snakemake with fewer `--cores`. Run "
        "again: the training goes on from its saved state."
    )


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
