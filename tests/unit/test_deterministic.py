"""The same bits each time on a GPU: what is replaced for it, and what is said where that fails."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from segbench.engine.deterministic import OperationsThatVary, adaptive_average

SIDES = st.integers(1, 13)
COUNTS = st.one_of(st.none(), st.integers(1, 15))


@given(SIDES, SIDES, st.one_of(st.integers(1, 15), st.tuples(COUNTS, COUNTS)))
def test_pooling_by_slices_is_the_pooling_of_pytorch(height, width, size):
    maps = torch.rand(2, 3, height, width, dtype=torch.float64)
    ours, theirs = maps.clone().requires_grad_(), maps.clone().requires_grad_()
    pooled, expected = adaptive_average(ours, size), functional.adaptive_avg_pool2d(theirs, size)
    torch.testing.assert_close(pooled, expected)
    weights = torch.rand_like(expected)
    (pooled * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_window_that_no_pixel_shares_is_the_plain_mean():
    maps = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert adaptive_average(maps, 2).tolist() == [[[[2.5, 4.5], [10.5, 12.5]]]]


IN_A_PROCESS = """
import torch
from torch.nn import functional
from segbench.engine.deterministic import use_deterministic_kernels

for _ in range(2):  # trainings of one process ask for it one after the other
    use_deterministic_kernels()
cuda = torch.backends.cuda
print(cuda.flash_sdp_enabled(), cuda.mem_efficient_sdp_enabled(), cuda.cudnn_sdp_enabled())
print(cuda.math_sdp_enabled(), torch.are_deterministic_algorithms_enabled())
maps = torch.rand(1, 2, 7, 7, requires_grad=True)
for device in ("cpu", "meta"):
    pooled = torch.nn.AdaptiveAvgPool2d((3, None))(maps.to(device))
    print(tuple(pooled.shape), type(pooled.grad_fn).__name__)
"""


def test_kernels_that_add_in_any_order_are_not_used_on_a_gpu():
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "False False False", "True True",
        # a CPU keeps its kernel, whose order is fixed
        "(1, 2, 3, 7) AdaptiveAvgPool2DBackward0", "(1, 2, 3, 7) StackBackward0",
    ]  # fmt: skip


def varying(step) -> list[str]:
    """What varies in a step on two maps of 8x8 pixels."""
    maps = torch.rand(2, 3, 8, 8, requires_grad=True)
    with OperationsThatVary() as found:
        result = step(maps)
        if result.requires_grad:
            result.sum().backward()
    return found.found


LABELS = torch.zeros(2, 8, 8, dtype=torch.long)
POINTS = torch.zeros(2, 4, 4, 2)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda maps: functional.grid_sample(maps, POINTS, align_corners=False), "grid_sample"),
        (lambda maps: functional.interpolate(maps, (9, 9), mode="bicubic"), "bicubic"),
        (lambda maps: functional.pad(maps, (1, 1, 1, 1), mode="reflect"), "reflection"),
        (lambda maps: functional.adaptive_max_pool2d(maps, 3), "max pooling"),
        (lambda maps: functional.cross_entropy(maps, LABELS), "cross-entropy"),
        (lambda maps: maps.cumsum(1), "cumulative sums"),
    ],
)
def test_an_operation_without_a_deterministic_kernel_is_named(step, words):
    (found,) = varying(step)
    assert words in found


@pytest.mark.parametrize(
    "step",
    [
        lambda maps: functional.cross_entropy(maps, LABELS, reduction="none"),
        lambda maps: functional.interpolate(maps, (9, 9), mode="bilinear"),
        lambda maps: functional.adaptive_avg_pool2d(maps, 3),
        lambda maps: functional.max_pool2d(functional.conv2d(maps, torch.ones(4, 3, 3, 3)), 2),
        lambda maps: functional.scaled_dot_product_attention(maps, maps, maps),
        lambda maps: LABELS.cumsum(1, dtype=torch.float32),
    ],
)
def test_operations_that_have_one_or_are_replaced_are_not(step):
    assert varying(step) == []
