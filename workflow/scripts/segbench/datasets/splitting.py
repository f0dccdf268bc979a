"""Split a dataset that has no split of its own: by group, at random, classes on both sides.

Needs NumPy alone; knows nothing of files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DRAWS = 500
# up to this many groups all splits can be tried where no draw is good
FEW_GROUPS = 12

Flags = npt.NDArray[np.bool_]


def stratified_split(
    groups: Sequence[str], pixels: npt.NDArray[np.int64], val_share: float, seed: int
) -> Flags:
    """Choose the validation frames so that groups stay whole and classes are shared alike.

    Of many random draws of groups, each with about the wanted number of frames (off by half of
    the largest group at the most, if there is such a draw), the one is taken in which the fewest
    classes are missing on a side, and among those the one in which the classes' pixels are shared
    most nearly as wanted. If a class still misses a side, all splits are tried where there are few
    groups, and groups are swapped over where there are many.

    Args:
        groups: the group of each frame; all frames of a group go to one side.
        pixels: pixels of each class in each frame, [frames, classes].
        val_share: wanted share of the frames on the validation side, between 0 and 1.
        seed: decides the draws; the same seed gives the same split.

    Returns:
        For each frame whether it is on the validation side, [frames].

    Raises:
        ValueError: there are fewer than two groups, so that no split keeps them whole.
    """
    names, member_of = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"all {len(groups)} frames belong to one group")
    frames = np.bincount(member_of)
    content = np.zeros((len(names), pixels.shape[1]))
    np.add.at(content, member_of, pixels)
    judge = _Judge(frames, content[:, content.sum(0) > 0], val_share)
    rng = np.random.default_rng(seed)
    chosen = judge.best(np.array([_draw(frames, val_share, rng) for _ in range(DRAWS)]))
    if judge.missing(chosen[None]) > judge.unavoidable and len(names) <= FEW_GROUPS:
        chosen = judge.best(rng.permutation(_all_splits(len(names))))
    elif judge.missing(chosen[None]) > judge.unavoidable:
        chosen = _swapped(chosen, judge, rng)
    return np.asarray(chosen[member_of])


@dataclass(frozen=True, slots=True)
class _Judge:
    """Compares splits of groups, given as flags [splits, groups].

    Attributes:
        frames: number of frames of each group.
        content: pixels by group and class, [groups, classes], each class in some group.
        val_share: wanted share of the frames.
    """

    frames: npt.NDArray[np.int64]
    content: npt.NDArray[np.float64]
    val_share: float

    @property
    def unavoidable(self) -> int:
        """How many classes are in one group alone, and so always miss a side."""
        return int(((self.content > 0).sum(0) == 1).sum())

    def best(self, splits: Flags) -> Flags:
        """The best of some splits, the first of equals."""
        off = self.off(splits)
        splits = splits[off <= max(self.frames.max() / 2, off.min())]
        shares = splits @ self.content / self.content.sum(0)
        uneven = self.off(splits) / self.frames.sum()
        if shares.shape[1]:
            uneven = uneven + np.abs(shares - self.val_share).mean(1)
        order = np.lexsort((uneven, self.missing(splits)))
        return np.asarray(splits[order[0]])

    def off(self, splits: Flags) -> npt.NDArray[np.float64]:
        """By how many frames the validation side is larger or smaller than wanted."""
        return np.asarray(np.abs(splits @ self.frames - self.val_share * self.frames.sum()))

    def missing(self, splits: Flags) -> npt.NDArray[np.int64]:
        """How many classes miss a side."""
        return np.asarray(np.count_nonzero(~self.on_both(splits), axis=1), np.int64)

    def on_both(self, splits: Flags) -> Flags:
        """Which classes are on both sides, [splits, classes]."""
        shows = self.content > 0
        return np.asarray((splits @ shows) & (~splits @ shows))


def _draw(frames: npt.NDArray[np.int64], val_share: float, rng: np.random.Generator) -> Flags:
    """Groups in random order, as many as come nearest to the wanted number of frames."""
    order = rng.permutation(len(frames))
    reached = np.cumsum(frames[order])
    # at least one group on either side
    count = 1 + int(np.argmin(np.abs(reached[:-1] - val_share * frames.sum())))
    flags = np.zeros(len(frames), bool)
    flags[order[:count]] = True
    return flags


def _all_splits(groups: int) -> Flags:
    """Every split with at least one group on either side."""
    numbers = np.arange(1, 2**groups - 1)
    return np.asarray(numbers[:, None] >> np.arange(groups) & 1, bool)


def _swapped(chosen: Flags, judge: _Judge, rng: np.random.Generator) -> Flags:
    """Swap pairs of groups over, as long as that brings a class to a side that misses it."""
    while True:
        lacking = np.logical_not(judge.on_both(chosen[None])[0])
        wanted = np.asarray(np.any(judge.content[:, lacking] > 0, axis=1))
        val, train = np.flatnonzero(chosen), np.flatnonzero(~chosen)
        # one of the two shows such a class; its partner is any
        pairs = [
            (i, j)
            for ours, theirs in ((val[wanted[val]], train), (val, train[wanted[train]]))
            if len(ours) and len(theirs)
            for i, j in zip(rng.choice(ours, DRAWS), rng.choice(theirs, DRAWS), strict=True)
        ]
        tried = np.repeat(chosen[None], len(pairs) + 1, axis=0)
        for row, pair in zip(tried, pairs, strict=False):
            row[list(pair)] ^= True
        better = judge.best(tried)
        if judge.missing(better[None]) >= judge.missing(chosen[None]):
            return chosen
        chosen = better
