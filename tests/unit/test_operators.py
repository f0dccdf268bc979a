"""Operators of MMCV without its compiled module: equal to what they are defined as, or refused."""

import importlib
import itertools

import pytest
import torch
from torch import Tensor

from segbench.engine.operators import stand_in_for_compiled_operators
from segbench.errors import ModelError

STANDS_IN = stand_in_for_compiled_operators()
OPS = importlib.import_module("mmcv.ops")


def mask_by_definition(weights: Tensor, collects: bool, rows: int, columns: int) -> Tensor:
    """The mask of PSANet, one weight after another: what the compiled operator does."""
    batch, _, height, width = weights.shape
    mask = torch.zeros(batch, height * width, height, width, dtype=weights.dtype)
    for n, h, w in itertools.product(range(batch), range(height), range(width)):
        for i, j in itertools.product(range(rows), range(columns)):
            y, x = h + i - (rows - 1) // 2, w + j - (columns - 1) // 2
            if 0 <= y < height and 0 <= x < width:
                weight = weights[n, i * columns + j, h, w]
                if collects:
                    mask[n, y * width + x, h, w] = weight
                else:
                    mask[n, h * width + w, y, x] = weight
    return mask


@pytest.mark.parametrize("kind", ["collect", "distribute"])
@pytest.mark.parametrize("window", [(7, 9), (3, 3), (5, 11)])
def test_the_mask_of_psanet_is_that_of_a_plain_loop(kind, window):
    torch.manual_seed(0)
    weights = torch.randn(2, window[0] * window[1], 4, 5, dtype=torch.float64, requires_grad=True)
    mask = OPS.PSAMask(kind, window)
    expected = mask_by_definition(weights, kind == "collect", *window)
    assert torch.equal(mask(weights), expected)
    # the gradient is that of the loop, which PyTorch derives by itself
    upstream = torch.randn_like(expected)
    (ours,) = torch.autograd.grad(mask(weights), weights, upstream)
    (plain,) = torch.autograd.grad(expected, weights, upstream)
    assert torch.equal(ours, plain)


def test_deformable_attention_has_a_gradient():
    torch.manual_seed(0)
    attention = OPS.MultiScaleDeformableAttention(embed_dims=16, num_heads=2, num_levels=1)
    query = torch.randn(6, 1, 16, requires_grad=True)
    found = attention(
        query, reference_points=torch.rand(1, 6, 1, 2), spatial_shapes=torch.tensor([[2, 3]]),
        level_start_index=torch.tensor([0]), value=torch.randn(6, 1, 16),
    )  # fmt: skip
    found.sum().backward()
    assert found.shape == (6, 1, 16)
    assert query.grad is not None
    assert torch.isfinite(query.grad).all()


def test_points_are_sampled_between_pixels():
    row = torch.tensor([[[[0.0, 1.0, 2.0, 3.0]]]])
    # 0 is the left end of the first pixel, 1 the right end of the last
    points = torch.tensor([[[0.125, 0.5], [0.5, 0.5], [0.875, 0.5]]])
    assert OPS.point_sample(row, points).flatten().tolist() == pytest.approx([0.0, 1.5, 3.0])


@pytest.mark.skipif(not STANDS_IN, reason="compiled operators are here")
def test_an_operator_without_another_path_says_its_name_and_the_remedy():
    with pytest.raises(ModelError, match=r"operator 'nms' of MMCV.*force-reinstall onedl-mmcv==2"):
        OPS.nms(torch.rand(3, 4), torch.rand(3), 0.5)
