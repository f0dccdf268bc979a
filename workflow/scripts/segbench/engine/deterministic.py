"""The same bits each time on a GPU, as far as kernels allow it, and what does not allow it.

A CPU gives the same bits each time. On a GPU, some operations add in the order in which threads
come. Imports torch.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

# of PyTorch's list at `torch.use_deterministic_algorithms`, those that networks use and nothing
# here or in PyTorch replaces, as bilinear interpolation is. Histograms are on that list, too, but
# they count, and whole numbers have one sum
WITHOUT_KERNEL = {
    "adaptive_max_pool2d_backward": "adaptive max pooling",
    "upsample_bicubic2d_backward": "bicubic interpolation",
    "_upsample_bilinear2d_aa_backward": "bilinear interpolation with antialiasing",
    "_upsample_bicubic2d_aa_backward": "bicubic interpolation with antialiasing",
    "upsample_linear1d_backward": "linear interpolation",
    "reflection_pad1d_backward": "padding by reflection",
    "reflection_pad2d_backward": "padding by reflection",
    "max_unpool2d": "unpooling",
    "grid_sampler_2d_backward": "sampling at points (grid_sample)",
}
# only of fractions the order matters
SUMS = {"cumsum": "cumulative sums", "cumsum_": "cumulative sums"}
# only where the kernel itself averages or sums
LOSSES = {"nll_loss2d_forward": "a cross-entropy that is averaged by its kernel"}
Size = int | Sequence[int | None]
_KERNEL: Callable[..., Tensor] = functional.adaptive_avg_pool2d


def use_deterministic_kernels() -> None:
    """Have the rest of this process compute the same bits each time, where kernels allow it.

    PyTorch warns of each operation that has no such kernel, and goes on. See its notes on
    reproducibility. Two things it leaves to chance when it is to warn only, so they are done here:
    attention is computed without its fused kernels, whose gradients are added in any order, and
    maps are pooled to a size by sums of slices.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    functional.adaptive_avg_pool2d = _average_by_device


def adaptive_average(maps: Tensor, size: Size) -> Tensor:
    """Adaptive average pooling whose gradient adds in a fixed order.

    Rows are averaged first, then columns, each window by itself. Windows are those of
    `torch.nn.functional.adaptive_avg_pool2d`, whose kernel for the gradient adds by atomics.

    Args:
        maps: [..., height, width].
        size: height and width of the result in pixels, or one for both; a side of None is left.

    Returns:
        Averages [..., *size].
    """
    sides = (size, size) if isinstance(size, int) else size
    for dim, count in zip((-2, -1), sides, strict=True):
        if count is not None and count != maps.shape[dim]:
            windows = _windows(maps.shape[dim], count)
            means = [maps.narrow(dim, start, end - start).mean(dim) for start, end in windows]
            maps = torch.stack(means, dim)
    return maps


def _windows(length: int, count: int) -> list[tuple[int, int]]:
    """From where to where each window reaches, as in PyTorch: its ends are rounded outwards."""
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def _average_by_device(input: Tensor, output_size: Any) -> Tensor:  # PyTorch's own names
    if input.is_cpu:
        return _KERNEL(input, output_size)
    return adaptive_average(input, output_size)


class OperationsThatVary(TorchDispatchMode):
    """Note the operations of what runs inside that have no deterministic kernel on a GPU.

    They are met on any device, in a training step with its backward pass.

    Attributes:
        found: in words, each once, in the order in which they were met.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(
        self,
        operation: Any,
        types: Any,
        arguments: tuple[Any, ...] = (),
        named: dict[str, Any] | None = None,
    ) -> Any:
        """Note one operation, and do it."""
        result = operation(*arguments, **(named or {}))
        words = _in_words(operation.overloadpacket.__name__, arguments)
        if words and words not in self.found:
            self.found.append(words)
        return result


def _in_words(name: str, arguments: tuple[Any, ...]) -> str | None:
    """What an operation is called where it has no deterministic kernel, else None."""
    if name in SUMS and arguments[0].is_floating_point():
        return SUMS[name]
    if name in LOSSES and arguments[3] != 0:  # reduction: none is 0
        return LOSSES[name]
    return WITHOUT_KERNEL.get(name)
