"""Split a dataset that has no split of its own: by group, at random, classes in both splits.

Needs NumPy alone; knows nothing of files.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Deal = npt.NDArray[np.int64]
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
    classes are missing in a split, and among those the one in which the classes' pixels are shared
    most nearly as wanted. If a class still misses a split, all splits are tried where there are few
    groups, and groups are swapped over where there are many.

    Args:
        groups: the group of each frame; all frames of a group go to one split.
        pixels: pixels of each class in each frame, [frames, classes].
        val_share: wanted share of the frames in the validation split, between 0 and 1.
        seed: decides the draws; the same seed gives the same split.

    Returns:
        For each frame whether it is in the validation split, [frames].

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
        """How many classes are in one group alone, and so always miss a split."""
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
        """By how many frames the validation split is larger or smaller than wanted."""
        return np.asarray(np.abs(splits @ self.frames - self.val_share * self.frames.sum()))

    def missing(self, splits: Flags) -> npt.NDArray[np.int64]:
        """How many classes miss a split."""
        return np.asarray(np.count_nonzero(~self.on_both(splits), axis=1), np.int64)

    def on_both(self, splits: Flags) -> Flags:
        """Which classes are in both splits, [splits, classes]."""
        shows = self.content > 0
        return np.asarray((splits @ shows) & (~splits @ shows))


def _draw(frames: npt.NDArray[np.int64], val_share: float, rng: np.random.Generator) -> Flags:
    """Groups in random order, as many as come nearest to the wanted number of frames."""
    order = rng.permutation(len(frames))
    reached = np.cumsum(frames[order])
    # at least one group in either split
    count = 1 + int(np.argmin(np.abs(reached[:-1] - val_share * frames.sum())))
    flags = np.zeros(len(frames), bool)
    flags[order[:count]] = True
    return flags


def _all_splits(groups: int) -> Flags:
    """Every split with at least one group in either split."""
    numbers = np.arange(1, 2**groups - 1)
    return np.asarray(numbers[:, None] >> np.arange(groups) & 1, bool)


def _swapped(chosen: Flags, judge: _Judge, rng: np.random.Generator) -> Flags:
    """Swap pairs of groups over, as long as that brings a class to a split that misses it."""
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


def stratified_folds(
    groups: Sequence[str], pixels: npt.NDArray[np.int64], folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """Deal frames to folds of about equal size so that groups stay whole and classes are shared.

    Of many random deals, each group going to the fold with the fewest frames, the one is taken in
    which the fewest classes miss a fold or are in one fold alone, and among those the one in which
    the classes' pixels are shared most nearly alike.

    Args:
        groups: the group of each frame; all frames of a group go to one fold.
        pixels: pixels of each class in each frame, [frames, classes].
        folds: number of folds.
        seed: decides the deals; the same seed gives the same folds.

    Returns:
        The fold in which each frame is validated on, [frames].

    Raises:
        ValueError: there are fewer groups than folds.
    """
    names, member_of = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < folds:
        raise ValueError(f"{len(names)} groups cannot fill {folds} folds")
    frames = np.bincount(member_of)
    content = np.zeros((len(names), pixels.shape[1]))
    np.add.at(content, member_of, pixels)
    content = content[:, content.sum(0) > 0]
    rng = np.random.default_rng(seed)
    deals = [_deal(frames, folds, rng) for _ in range(DRAWS)]
    best = min(deals, key=lambda deal: _unevenness(deal, frames, content, folds))
    return np.asarray(best[member_of])


def _deal(frames: npt.NDArray[np.int64], folds: int, rng: np.random.Generator) -> Deal:
    """The fold of each group: in random order, each to the fold with the fewest frames."""
    dealt = np.zeros(len(frames), np.int64)
    sizes = np.zeros(folds)
    for number, group in enumerate(rng.permutation(len(frames))):
        # every fold gets a group, however large the first ones are
        dealt[group] = number if number < folds else int(np.argmin(sizes))
        sizes[dealt[group]] += frames[group]
    return dealt


def _unevenness(
    deal: Deal,
    frames: npt.NDArray[np.int64],
    content: npt.NDArray[np.float64],
    folds: int,
) -> tuple[int, float]:
    """How many pairs of fold and class lack it in validation or training, then how uneven."""
    member = np.arange(folds)[:, None] == deal
    shares = member @ content / content.sum(0)
    lacking = int(np.count_nonzero(shares == 0) + np.count_nonzero(shares == 1))
    sizes = member @ frames / frames.sum()
    return lacking, float(np.abs(shares - 1 / folds).mean() + np.abs(sizes - 1 / folds).mean())
