"""Which image is seen when, and how it is augmented: pure functions of (seed, position).

A position counts the samples of a whole training, from 0. Because neither the order nor the
augmentation depends on anything else, a training that was interrupted goes on at its position
and sees what it would have seen, with any number of workers. Imports torch.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset, Sampler

SHUFFLE, AUGMENT, RARE = 1, 2, 3
# index of the image at a position
Order = Callable[[int], int]


def index_at(seed: int, position: int, length: int) -> int:
    """Index of the image at a position: each epoch is a permutation of its own.

    Args:
        seed: seed of the run.
        position: number of samples seen before, at least 0.
        length: number of images in the dataset.
    """
    epoch, place = divmod(position, length)
    return int(_permutation(seed, epoch, length)[place])


@lru_cache(maxsize=2)  # the epoch at hand and the next; drawing it for every sample would be slow
def _permutation(seed: int, epoch: int, length: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, SHUFFLE, epoch]).permutation(length)


class RareClassOrder:
    """Draws a class at each position, and then one of the images that show it.

    Args:
        seed: seed of the run.
        probabilities: how often each class is drawn.
        frames: for each class the indices of the images that show it.
    """

    def __init__(
        self, seed: int, probabilities: Sequence[float], frames: Sequence[npt.NDArray[np.int64]]
    ) -> None:
        shown = [(rate, found) for rate, found in zip(probabilities, frames, strict=True)
                 if rate and len(found)]  # fmt: skip
        rates = np.array([rate for rate, _ in shown])
        self._seed, self._frames = seed, [found for _, found in shown]
        # where the draw of one class ends and that of the next begins
        self._bounds = np.cumsum(rates / rates.sum())[:-1]

    def __call__(self, position: int) -> int:
        """Index of the image at a position."""
        rng = np.random.default_rng([self._seed, RARE, position])
        drawn = int(np.searchsorted(self._bounds, rng.random(), side="right"))
        return int(rng.choice(self._frames[drawn]))


class PositionSampler(Sampler[int]):
    """Yields positions from `start` to `stop`, or of every batch the part of one process.

    Args:
        start: first position.
        stop: the one after the last.
        batch: positions in a batch of all processes.
        rank, size: which of how many processes; they share each batch evenly.
    """

    def __init__(self, start: int, stop: int, batch: int = 1, rank: int = 0, size: int = 1) -> None:
        self._batches, self._part, self._rank = range(start, stop, batch), batch // size, rank

    def __iter__(self) -> Iterator[int]:
        for batch in self._batches:
            first = batch + self._rank * self._part
            yield from range(first, first + self._part)

    def __len__(self) -> int:
        return len(self._batches) * self._part


class Frames(Protocol):
    """What the base of a `PositionedDataset` must offer."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> object: ...

    def get_data_info(self, index: int, /) -> dict[str, str]:
        """Where the image and its label are."""

    def crop_to(self, crop: tuple[int, int], /) -> None:
        """Cut crops of a height and width from here on."""


class PositionedDataset(Dataset[object]):
    """A dataset that is asked for positions instead of indices.

    Args:
        frames: a dataset whose transforms draw from the global random generators.
        seed: seed of the run.
        order: which image is seen at a position; by default every image once in each epoch.
        crop: height and width of the crop at a position; by default that of the transforms.
    """

    def __init__(
        self,
        frames: Frames,
        seed: int,
        order: Order | None = None,
        crop: Callable[[int], tuple[int, int]] | None = None,
    ) -> None:
        self._frames, self._seed, self._crop = frames, seed, crop
        self._order = order or partial(_shuffled, seed, len(frames))

    def names_at(self, positions: Sequence[int]) -> list[str]:
        """File names of the images at some positions."""
        indices = map(self._order, positions)
        return [Path(self._frames.get_data_info(index)["img_path"]).name for index in indices]

    def __getitem__(self, position: int) -> object:
        # MMSegmentation's transforms draw from both global generators
        words = np.random.SeedSequence([self._seed, AUGMENT, position]).generate_state(2)
        np.random.seed(words[0])
        random.seed(int(words[1]))
        if self._crop:
            self._frames.crop_to(self._crop(position))
        return self._frames[self._order(position)]


def _shuffled(seed: int, length: int, position: int) -> int:
    return index_at(seed, position, length)
