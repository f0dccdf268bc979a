"""The processes that train one run together, one per device, and what they must agree on.

Whatever their number, they see the same images in the same iterations, normalise over the whole
batch and step with the mean of their gradients. A training of one process asks nobody.
Imports torch.
"""

import os
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
import torch.distributed as dist
from mmengine.model import MMDistributedDataParallel
from torch import Tensor, nn

from segbench.engine.synced_norm import synced
from segbench.scores.metrics import Counts


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of a training, seen from one of them.

    Attributes:
        rank: number of this one, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def joined(cls, device: str) -> Self:
        """Meet the processes that the launcher started with this one.

        Args:
            device: where this process trains.
        """
        if device != "cpu":
            torch.cuda.set_device(device)
        # decisions are exchanged on the CPU, gradients where they are
        dist.init_process_group("gloo" if device == "cpu" else "cpu:gloo,cuda:nccl")
        return cls(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))

    @property
    def is_first(self) -> bool:
        """Whether this one writes files and says what happens."""
        return self.rank == 0

    def wrapped(self, model: nn.Module, device: str) -> nn.Module:
        """The model whose training steps use the gradients of all processes.

        Args:
            model: already on its device; its batch normalisation is changed in place to one over
                the batches of all processes.
            device: where it is.
        """
        if self.size == 1:
            return model
        share_hard_pixels(model, self.size)
        ids = None if device == "cpu" else [torch.device(device).index]
        # some models of the zoo have parameters that no loss depends on
        wrapped: nn.Module = MMDistributedDataParallel(
            synced(model, device), device_ids=ids, find_unused_parameters=True
        )
        return wrapped

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a number over the processes."""
        if self.size == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total / self.size

    def total(self, counts: Counts) -> Counts:
        """The sum of counts over the processes."""
        if self.size == 1:
            return counts
        summed = torch.from_numpy(np.ascontiguousarray(counts))
        dist.all_reduce(summed)
        return summed.numpy()

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        if self.size == 1:
            return flag
        flags = torch.tensor([int(flag)])
        dist.all_reduce(flags)
        return bool(flags.item())

    def share(self, things: int) -> range:
        """Which of so many things this process takes."""
        return range(self.rank, things, self.size)

    def leave(self) -> None:
        """Part from the others."""
        if self.size > 1:
            dist.destroy_process_group()


def share_hard_pixels(model: nn.Module, size: int) -> None:
    """Have a loss count the hardest pixels of a process's part of a batch, not of all of it.

    MMSegmentation's sampler counts those of each image, so it stays as it is.

    Args:
        model: its losses are changed in place.
        size: processes that share each batch.
    """
    losses: list[Any] = [
        part for part in model.modules() if type(part).__name__ == "OhemCrossEntropy"
    ]
    for loss in losses:
        loss.min_kept = max(1, loss.min_kept // size)


# a training of one process
ALONE = Processes()
