"""Batch normalisation over the batches of all processes of a training. Imports torch.

PyTorch has it for CUDA devices only. On a CPU, where trainings of several processes are tested, it
is written with collective sums that gradients flow through.
"""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn.modules.batchnorm import _BatchNorm


class _Sum(torch.autograd.Function):
    """The sum over all processes; its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: FunctionCtx, value: Tensor) -> Tensor:
        """Add up."""
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        """Add up the gradients."""
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


def _total(value: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total


class SyncedBatchNorm(_BatchNorm):
    """Batch normalisation whose mean and variance are those of all processes' batches."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions after the channels."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise [images, channels, ...]."""
        if not self.training:
            return super().forward(input)
        axes = [0, *range(2, input.dim())]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        values = input.float()
        pixels = torch.tensor(float(input.numel() // input.size(1)))
        dist.all_reduce(pixels)
        mean = _total(values.sum(axes)) / pixels
        centred = values - mean.view(shape)
        # a second sum instead of a sum of squares, which would cancel
        variance = _total((centred * centred).sum(axes)) / pixels
        self._remember(mean, variance, pixels)
        normal = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        normalised: Tensor = normal.to(input.dtype)
        return normalised

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, pixels: Tensor) -> None:
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        rate = self.momentum
        if rate is None:
            rate = 1.0 / float(self.num_batches_tracked or 1)
        self.running_mean.lerp_(mean, rate)
        self.running_var.lerp_(variance * (pixels / (pixels - 1)), rate)


def synced(model: nn.Module, device: str) -> nn.Module:
    """Turn the batch normalisation of a model into one over all processes, in place.

    Args:
        model: on its device.
        device: `cpu`, or a CUDA device.
    """
    if device != "cpu":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return converted
    for name, child in list(model.named_children()):
        if isinstance(child, _BatchNorm) and not isinstance(child, nn.SyncBatchNorm):
            setattr(model, name, _over_all(child))
        else:
            synced(child, device)
    return model


def _over_all(norm: _BatchNorm) -> SyncedBatchNorm:
    """The same layer over all processes; parameters and buffers are shared with it."""
    over_all = SyncedBatchNorm(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    if norm.affine:
        # an optimizer may hold them already
        over_all.weight, over_all.bias = norm.weight, norm.bias
    over_all.running_mean, over_all.running_var = norm.running_mean, norm.running_var
    over_all.num_batches_tracked = norm.num_batches_tracked
    return over_all.train(norm.training)
