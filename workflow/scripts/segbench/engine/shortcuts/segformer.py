"""SegFormer's head: maps are fused before they are enlarged. Imports torch and mmseg."""

from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads import SegformerHead
from mmseg.models.utils import resize
from torch import Tensor, nn
from torch.nn import functional


def take_for_segformer(part: nn.Module) -> None:
    """Have a head of SegFormer fuse its maps first, if its fusion is a plain 1x1 convolution."""
    if type(part) is not SegformerHead:
        return
    fusion: Any = part.fusion_conv
    is_plain = type(fusion.conv) is nn.Conv2d and fusion.conv.kernel_size == (1, 1)
    if is_plain and fusion.order == ("conv", "norm", "act") and not fusion.with_spectral_norm:
        part.__class__ = FusedThenEnlarged


class FusedThenEnlarged(SegformerHead):  # type: ignore[misc]  # mmseg is not typed
    """The head of SegFormer (Xie et al., NeurIPS 2021), with a third of the work.

    It enlarges four maps to the size of the largest, stacks their channels and convolves the stack
    with a 1x1 kernel. Enlarging is linear and treats each channel alone, and a 1x1 convolution is
    linear and treats each pixel alone, so they commute, and the convolution of a stack is the sum
    of those of its parts. Convolving first, each map at its own size, and adding what is enlarged
    gives the same.
    """

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Logits [batch, classes, height, width] from the maps of a backbone."""
        maps = self._transform_inputs(inputs)
        size = maps[0].shape[2:]
        conv = self.fusion_conv.conv
        total: Any = None
        kernels = conv.weight.split(self.channels, dim=1)
        for x, project, kernel in zip(maps, self.convs, kernels, strict=True):
            fused = functional.conv2d(project(x), kernel)
            if fused.shape[2:] != size:
                mode, align = self.interpolate_mode, self.align_corners
                fused = resize(fused, size=size, mode=mode, align_corners=align)
            # neither a convolution nor an enlargement needs its result to find its gradient
            total = fused if total is None else total.add_(fused)
        if conv.bias is not None:
            total = total + conv.bias[:, None, None]
        logits: Tensor = self.cls_seg(self._activated(total))
        return logits

    def _activated(self, total: Tensor) -> Tensor:
        fusion = self.fusion_conv
        normed = fusion.norm(total) if fusion.with_norm else total
        activated: Tensor = fusion.activate(normed) if fusion.with_activation else normed
        return activated
