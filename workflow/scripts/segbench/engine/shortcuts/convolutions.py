"""Convolutions that compute no more than what is seen of them. Imports torch and mmcv."""

from typing import Any

from mmcv.cnn import ConvModule
from mmcv.cnn.bricks.conv_module import efficient_conv_bn_eval_forward
from torch import Tensor, nn
from torch.nn import functional

KERNEL = (3, 3)


def take_for_convolutions(part: nn.Module) -> None:
    """Have a dilated 3x3 convolution that keeps the size of its map leave out what sees nothing.

    And have a convolution with batch normalisation after it take both in one when it predicts: the
    statistics are constants then, by which the kernel is multiplied. MMCV offers that.
    """
    if type(part) is ConvModule:
        take_norm_into(part)
    if (
        type(part) is nn.Conv2d
        and part.kernel_size == KERNEL
        and part.stride == (1, 1)
        and max(part.dilation) > 1
        and part.padding == part.dilation
        and part.padding_mode == "zeros"
    ):
        part.__class__ = CutToMap


def take_norm_into(part: Any) -> None:
    """Have a `ConvModule` multiply its kernel where its convolution is PyTorch's own."""
    if type(part.conv) in (nn.Conv2d, CutToMap) and not part.with_spectral_norm:
        part.turn_on_efficient_conv_bn_eval()  # if it has statistics
        if part.efficient_conv_bn_eval_forward is not None:
            part.__class__ = OneInPrediction


class OneInPrediction(ConvModule):  # type: ignore[misc]  # mmcv is not typed
    """A convolution that multiplies its kernel by its normalisation, but never in training.

    MMCV would do so with frozen statistics, too, and puts another `forward` in place meanwhile,
    which cannot be compiled.
    """

    @property
    def efficient_conv_bn_eval_forward(self) -> Any:
        """What MMCV computes both by, if anything."""
        return None if self.training else efficient_conv_bn_eval_forward


class CutToMap(nn.Conv2d):
    """A 3x3 convolution whose kernel is cut to its middle where the map is small.

    Where a map has no more rows than the dilation, the first and last row of the kernel see padding
    alone, and their gradient is zero; so with columns. Atrous spatial pyramids have dilations of up
    to 36, and maps of an eighth or a sixteenth of the crop.
    """

    # not `forward`, because MMCV gives other kernels to this
    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        height, width = input.shape[-2:]
        kernel, padding = weight, [*self.dilation]
        if height <= self.dilation[0]:
            kernel, padding[0] = kernel[:, :, 1:2], 0
        if width <= self.dilation[1]:
            kernel, padding[1] = kernel[:, :, :, 1:2], 0
        return functional.conv2d(
            input, kernel, bias, 1, (padding[0], padding[1]), self.dilation, self.groups
        )
