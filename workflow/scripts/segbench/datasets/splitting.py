"""Split a dataset that has no split of its own: by group, at random, classes on both sides.

Needs NumPy alone; knows nothing of files.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

DRAWS = 500

Flags = npt.NDArray[np.bool_]


def stratified_split(
    groups: Sequence[str], pixels: npt.NDArray[np.int64], val_share: float, seed: int
) -> Flags:
    """Choose the validation frames so that groups stay whole and classes are shared alike.

    Of many random draws of groups, each with about the wanted number of frames, the one is taken
    in which the fewest classes are missing on a side, and among those the one in which the
    classes' pixels are shared most nearly as wanted.

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
    content = content[:, content.sum(0) > 0]
    rng = np.random.default_rng(seed)
    chosen = min(
        (_draw(frames, val_share, rng) for _ in range(DRAWS)),
        key=lambda flags: _badness(flags, frames, content, val_share),
    )
    return np.asarray(chosen[member_of])


def _draw(frames: npt.NDArray[np.int64], val_share: float, rng: np.random.Generator) -> Flags:
    """Groups in random order, as many as come nearest to the wanted number of frames."""
    order = rng.permutation(len(frames))
    reached = np.cumsum(frames[order])
    # at least one group on either side
    count = 1 + int(np.argmin(np.abs(reached[:-1] - val_share * frames.sum())))
    flags = np.zeros(len(frames), bool)
    flags[order[:count]] = True
    return flags


def _badness(
    flags: Flags,
    frames: npt.NDArray[np.int64],
    content: npt.NDArray[np.float64],
    val_share: float,
) -> tuple[int, float]:
    """How many classes miss a side, then how far the shares are from the wanted one."""
    shares = content[flags].sum(0) / content.sum(0)
    missing = int(((shares == 0) | (shares == 1)).sum())
    of_frames = abs(float(frames[flags].sum() / frames.sum()) - val_share)
    return missing, of_frames + float(np.abs(shares - val_share).mean() if len(shares) else 0.0)
