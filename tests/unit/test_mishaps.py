"""What is said when memory runs out, or a process that reads images dies."""

import pytest
import torch

from segbench.engine.mishaps import (
    beyond_memory,
    is_out_of_memory,
    largest_batch,
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
        import os
        import signal

        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_reader_is_said_as_such():
    loader = torch.utils.data.DataLoader(Endless(), num_workers=1)
    with pytest.raises(RuntimeError) as caught:
        next(iter(loader))
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
