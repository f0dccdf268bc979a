"""What is said when memory runs out, or a process that reads images dies."""

import multiprocessing
import os
import signal
import subprocess
import time

import pytest
import torch

from segbench.engine.mishaps import (
    beyond_memory,
    is_out_of_memory,
    largest_batch,
    read_on,
    reader_died,
)


def batch_of(count):
    return {"inputs": list(range(count)), "data_samples": list(range(count))}


@pytest.mark.parametrize("fits", range(8))
def test_the_largest_batch_is_found_by_trial(fits):
    tried = []

    def step(part):
        assert len(part["inputs"]) == len(part["data_samples"])
        tried.append(len(part["inputs"]))
        if len(part["inputs"]) > fits:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    assert largest_batch(step, batch_of(8)) == fits
    assert len(tried) <= 3  # of 1 to 7 by halves


def test_another_error_of_the_trial_is_not_hidden():
    def step(part):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        largest_batch(step, batch_of(4))


def test_memory_that_a_cpu_lacks_is_known_by_its_message():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))


@pytest.mark.parametrize(
    ("fits", "remedy"),
    [
        (3, "3 of them fit: set `training.batch_size: 3`"),
        (0, "not even one fits: lower `training.crop_size`"),
        (None, "lower `training.batch_size`"),
    ],
)
def test_the_message_names_what_fits(fits, remedy):
    said = str(beyond_memory("m/scratch/seed0", "cuda:0", 8, fits))
    assert "m/scratch/seed0: cuda:0 has not enough memory for a batch of 8 images" in said
    assert remedy in said


class Endless(torch.utils.data.Dataset):
    """A dataset whose reader is killed as the system does it where memory runs out."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_reader_is_said_as_such():
    loader = torch.utils.data.DataLoader(Endless(), num_workers=1)
    with pytest.raises(RuntimeError) as caught:
        next(iter(loader))
    assert "was killed, most likely because" in str(reader_died(caught.value))


class Slow(torch.utils.data.Dataset):
    """A dataset whose reader lives until it is ended."""

    def __len__(self):
        return 100

    def __getitem__(self, index):
        return torch.tensor(index)


def test_a_reader_that_dies_in_the_middle_of_a_save_is_said_with_the_next_batches():
    loader = torch.utils.data.DataLoader(Slow(), num_workers=1)
    batches = read_on(loader)
    next(batches)
    (reader,) = multiprocessing.active_children()
    subprocess.run(["kill", str(reader.pid)], check=True)  # PyTorch minds who sends it
    reader.join()
    time.sleep(0.1)  # a save, for instance; PyTorch would have raised here
    with pytest.raises(RuntimeError, match="DataLoader worker") as caught:
        list(batches)
    assert "was killed, most likely because" in str(reader_died(caught.value))


def test_shared_memory_has_its_own_remedy():
    said = reader_died(
        RuntimeError(
            "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that "
            "dataloader's workers are out of shared memory."
        )
    )
    assert "--shm-size" in str(said)
    assert reader_died(RuntimeError("index out of range")) is None
