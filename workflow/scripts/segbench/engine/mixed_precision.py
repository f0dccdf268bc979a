"""Compute in 16 bits but where that would be wrong. Imports torch."""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


@contextlib.contextmanager
def computing_in(precision: str, device: str) -> Iterator[None]:
    """Autocast for as long as the context lasts, with two exceptions.

    Maps are enlarged in float32, so that the logits which losses see are not rounded. Depthwise
    dilated convolutions on a CPU are computed in float32; see `_convolve`.

    Args:
        precision: `bfloat16` or `float16`.
        device: type of the device.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.autocast(device, HALVES[precision]))
        stack.enter_context(mock.patch.object(functional, "interpolate", _enlarge))
        if device == "cpu":
            stack.enter_context(mock.patch.object(functional, "conv2d", _convolve))
        yield


_interpolate, _conv2d = functional.interpolate, functional.conv2d


def _enlarge(input: Tensor, *more: Any, **settings: Any) -> Tensor:
    """`torch.nn.functional.interpolate` of a map in float32."""
    if input.dtype in HALVES.values():
        input = input.float()
    return _interpolate(input, *more, **settings)


def _convolve(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """`torch.nn.functional.conv2d`, in float32 where a kernel for each channel has holes.

    The gradient of its weights in bfloat16, with channels last, is not that of its inputs for most
    sizes of maps, and may be as large as 1e34: in PyTorch 2.13 (oneDNN 3.12), on a processor that
    computes in bfloat16.
    """
    has_holes = dilation not in (1, (1, 1), [1, 1])
    if groups == 1 or groups != input.shape[1] or not has_holes:
        return _conv2d(input, weight, bias, stride, padding, dilation, groups)
    with torch.autocast("cpu", enabled=False):
        full = None if bias is None else bias.float()
        return _conv2d(input.float(), weight.float(), full, stride, padding, dilation, groups)
