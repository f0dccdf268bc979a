"""Dilated convolutions without the parts of their kernels that see nothing. Imports torch."""

from torch import Tensor, nn
from torch.nn import functional

KERNEL = (3, 3)


def take_for_convolutions(part: nn.Module) -> None:
    """Have a dilated 3x3 convolution that keeps the size of its map leave out what sees nothing."""
    if (
        type(part) is nn.Conv2d
        and part.kernel_size == KERNEL
        and part.stride == (1, 1)
        and max(part.dilation) > 1
        and part.padding == part.dilation
        and part.padding_mode == "zeros"
    ):
        part.__class__ = CutToMap


class CutToMap(nn.Conv2d):
    """A 3x3 convolution whose kernel is cut to its middle where the map is small.

    Where a map has no more rows than the dilation, the first and last row of the kernel see padding
    alone, and their gradient is zero; so with columns. Atrous spatial pyramids have dilations of up
    to 36, and maps of an eighth or a sixteenth of the crop.
    """

    def forward(self, input: Tensor) -> Tensor:  # PyTorch's own name
        """The map [batch, channels, height, width] of the same size."""
        height, width = input.shape[-2:]
        kernel, padding = self.weight, [*self.dilation]
        if height <= self.dilation[0]:
            kernel, padding[0] = kernel[:, :, 1:2], 0
        if width <= self.dilation[1]:
            kernel, padding[1] = kernel[:, :, :, 1:2], 0
        return functional.conv2d(
            input, kernel, self.bias, 1, (padding[0], padding[1]), self.dilation, self.groups
        )
