"""Bring a checkpoint's tables of positions to the crop that a transformer is built for.

For backbones whose tables are bound to the crop, BEiT and MAE in the zoo. MMSegmentation's own way
ends in a function that SciPy no longer has. Imports torch.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

RELATIVE, ABSOLUTE = "relative_position_bias_table", "pos_embed"


def at_size_of(model: nn.Module, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Interpolate the tables of a checkpoint that differ in size from those of a model.

    Args:
        model: a model, or a backbone alone.
        given: entries of the checkpoint under the model's names; square grids are expected.

    Returns:
        The entries; what cannot be interpolated is as it was, for the load report to name.
    """
    grid = getattr(getattr(model, "backbone", model), "patch_shape", None)
    entries = dict(given)
    if grid is None:
        return entries
    for key, own in model.state_dict().items():
        table = entries.get(key)
        if table is None or table.shape == own.shape or table.ndim != own.ndim:
            continue
        if key.endswith(RELATIVE):
            entries[key] = _relative(table, own, (grid[0], grid[1]))
        elif key.endswith(ABSOLUTE):
            entries[key] = _absolute(table, own, (grid[0], grid[1]))
    return entries


def _relative(table: Tensor, own: Tensor, grid: tuple[int, int]) -> Tensor:
    """[(2 h - 1)(2 w - 1) + extra, heads]: a bias per offset, and those of the class token."""
    size = (2 * grid[0] - 1, 2 * grid[1] - 1)
    offsets = len(table) - (len(own) - math.prod(size))
    if offsets < 1:
        return table
    resized = _resized(table[:offsets].T[None], size)
    return table if resized is None else torch.cat([resized[0].T, table[offsets:]])


def _absolute(table: Tensor, own: Tensor, grid: tuple[int, int]) -> Tensor:
    """[1, extra + h w, channels]: the class token first."""
    extra = own.shape[1] - math.prod(grid)
    resized = _resized(table[:, extra:].transpose(1, 2), grid)
    return table if resized is None else torch.cat([table[:, :extra], resized.transpose(1, 2)], 1)


def _resized(values: Tensor, size: tuple[int, int]) -> Tensor | None:
    """[1, channels, places] of a square grid at another size; None if the grid is not square.

    Bicubic, as timm does it (`resample_abs_pos_embed`, `resize_rel_pos_bias_table_simple`).
    """
    side = math.isqrt(values.shape[2])
    if side * side != values.shape[2] or side == 0:
        return None
    square = values.reshape(1, -1, side, side).float()
    resized = nnf.interpolate(square, size, mode="bicubic", align_corners=False)
    return resized.flatten(2).to(values.dtype)
