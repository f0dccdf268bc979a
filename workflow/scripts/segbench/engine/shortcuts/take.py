"""Give a model its shortcuts. Imports torch and mmseg."""

import torch
from mmseg.models.decode_heads import ddr_head, decode_head, pid_head, point_head
from torch import Tensor, nn

from segbench.engine.shortcuts.convolutions import take_for_convolutions
from segbench.engine.shortcuts.losses import take_for_losses
from segbench.engine.shortcuts.predictions import take_for_predictions
from segbench.engine.shortcuts.segformer import take_for_segformer

WITH_ACCURACY = (decode_head, pid_head, ddr_head, point_head)


def take_shortcuts(model: nn.Module) -> nn.Module:
    """Have the parts of a model for which there is a shortcut take it.

    Weights, settings and results stay the same, results up to rounding. A part of a class of the
    user's own is left alone, one that is derived from a published class too.

    Args:
        model: a segmentor of MMSegmentation, which is changed.

    Returns:
        The same model.
    """
    take_for_predictions(model)
    for part in model.modules():
        take_for_losses(part)
        take_for_segformer(part)
        take_for_convolutions(part)
    return model


def leave_out_accuracies() -> None:
    """Have the rest of this process train without the accuracy of each batch.

    MMSegmentation's heads compute it for the log, from the logits of each pixel. Here validations
    say how good a model is, and nothing reads that of a batch.
    """
    for module in WITH_ACCURACY:
        module.accuracy = _not_computed


def _not_computed(*_: object, **__: object) -> Tensor:
    return torch.zeros(1)
