"""Losses of MMSegmentation in fewer passes over all pixels. Imports torch and mmseg.

A loss sees a number for each class and pixel of the crop, so with a small network it can take
longer than the network.
"""

from typing import Any

import torch
from mmseg.models.losses import CrossEntropyLoss, OhemCrossEntropy
from torch import Tensor, nn
from torch.nn import functional


def take_for_losses(part: nn.Module) -> None:
    """Have a loss for which there is a shortcut take it."""
    if type(part) is CrossEntropyLoss and part.use_sigmoid:
        part.__class__ = SigmoidCrossEntropy
    elif type(part) is OhemCrossEntropy and part.class_weight is None:
        part.__class__ = HardestByThreshold


class SigmoidCrossEntropy(CrossEntropyLoss):  # type: ignore[misc]  # mmseg is not typed
    """Cross-entropy with a sigmoid for each class, without a map of ones and zeros per class."""

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
        ignore_index: int = -100,
        **more: Any,
    ) -> Tensor:
        """The mean loss of logits [batch, classes, height, width] for labels without the classes.

        Anything else than a plain mean over such maps is left to MMSegmentation.
        """
        is_plain = weight is None and avg_factor is None and reduction_override is None
        is_plain = is_plain and self.reduction == "mean" and self.class_weight is None
        if is_plain and cls_score.dim() == label.dim() + 1 == 4 and cls_score.shape[1] > 1:
            mean: Tensor = self.loss_weight * self._mean(cls_score.float(), label, ignore_index)
            return mean
        loss: Tensor = super().forward(
            cls_score, label, weight, avg_factor, reduction_override, ignore_index, **more
        )
        return loss

    def _mean(self, logits: Tensor, label: Tensor, ignore_index: int) -> Tensor:
        is_valid = (label >= 0) & (label != ignore_index)
        total: Tensor = _SigmoidSum.apply(logits, label, is_valid)  # type: ignore[no-untyped-call]
        if not self.avg_non_ignore:
            return total / logits.numel()
        counted = is_valid.sum() * logits.shape[1]
        return total / (counted + torch.finfo(torch.float32).eps)


class _SigmoidSum(torch.autograd.Function):
    """Sum over valid pixels and classes of log(1 + exp(x)) - x * [the class is the pixel's]."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, label: Tensor, is_valid: Tensor) -> Tensor:
        """Logits [batch, classes, height, width]; label and is_valid without the classes."""
        target = torch.where(is_valid, label, 0).unsqueeze(1)
        of_pixels = functional.softplus(logits).sum(1)
        of_pixels -= logits.gather(1, target).squeeze(1)
        if ctx.needs_input_grad[0]:
            gradient = logits.sigmoid()
            gradient.scatter_(1, target, gradient.gather(1, target) - 1)
            ctx.save_for_backward(gradient.mul_(is_valid.unsqueeze(1)))
        return of_pixels.mul_(is_valid).sum()

    @staticmethod
    def backward(ctx: Any, *of_sum: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of the logits alone."""
        (gradient,) = ctx.saved_tensors
        return gradient * of_sum[0], None, None


class HardestByThreshold(OhemCrossEntropy):  # type: ignore[misc]
    """Cross-entropy of the hardest pixels, which are found without sorting all of them.

    Where more than `min_kept` pixels are given less than `thresh` for their class, these are the
    hardest. Otherwise they are the `min_kept` with the lowest probabilities, for which one of them
    has to be found. Where none is harder than that one, because probabilities are equal, the
    published loss is the mean of nothing, which is no number; here it is 0.
    """

    def forward(self, score: Tensor, target: Tensor) -> Tensor:
        """The mean loss of logits [batch, classes, height, width] for labels."""
        losses = functional.cross_entropy(
            score.float(), target, ignore_index=self.ignore_label, reduction="none"
        )
        with torch.no_grad():
            is_valid = target != self.ignore_label
            probabilities = torch.exp(-losses)
            hardest = is_valid & (probabilities < self._threshold(probabilities, is_valid))
        counted = torch.where(hardest, losses, 0).sum() / hardest.sum().clamp(min=1)
        mean: Tensor = self.loss_weight * counted
        return mean

    def _threshold(self, probabilities: Tensor, is_valid: Tensor) -> float:
        """Below which a probability is that of a hard pixel."""
        valid = int(is_valid.sum())
        place = min(self.min_kept, valid - 1)  # in ascending order
        below = int((is_valid & (probabilities < self.thresh)).sum())
        if below > place:  # as it is where no pixel is valid
            return float(self.thresh)
        return max(float(self.thresh), _at_place(probabilities[is_valid], place))


def _at_place(values: Tensor, place: int) -> float:
    """The value that would stand at a place, counted from 0, if they were sorted."""
    if values.is_cpu:
        return float(values.kthvalue(place + 1).values)
    return float(values.sort().values[place])  # what a GPU is quick at, and always the same
