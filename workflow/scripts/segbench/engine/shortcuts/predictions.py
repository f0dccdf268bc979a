"""Class ids from logits. Imports torch and mmseg."""

from collections.abc import Sequence
from types import MethodType
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import BaseSegmentor
from mmseg.models.utils import resize
from torch import Tensor, nn


def take_for_predictions(model: nn.Module) -> None:
    """Have a segmentor find class ids by a shorter way, if it finds them as it is published."""
    if getattr(type(model), "postprocess_result", None) is BaseSegmentor.postprocess_result:
        model.postprocess_result = MethodType(class_ids, model)  # type: ignore[assignment]


def class_ids(model: Any, logits: Tensor, samples: Sequence[Any] | None = None) -> Sequence[Any]:
    """What `BaseSegmentor.postprocess_result` gives, to the bit.

    It enlarges logits that have the size of the image already, and takes their `argmax`, which
    PyTorch computes on a CPU pixel by pixel unless channels come last. `max` gives the same index,
    that of the first of several.

    Args:
        model: the segmentor.
        logits: of a batch, [batch, classes, height, width].
        samples: of each image, with its size and what it was padded by. They are changed.

    Returns:
        The samples, with `seg_logits` and `pred_sem_seg`.
    """
    if samples is None or logits.shape[1] == 1 or any(one.get("flip") for one in samples):
        published: Sequence[Any] = BaseSegmentor.postprocess_result(model, logits, samples)
        return published
    height, width = logits.shape[2:]
    for sample, one in zip(samples, torch.split(logits, 1), strict=True):
        left, right, top, bottom = _padding(sample.metainfo)
        inner = one[:, :, top : height - bottom, left : width - right]
        if inner.shape[2:] != (size := tuple(sample.metainfo["ori_shape"])):
            align = model.align_corners
            inner = resize(inner, size=size, mode="bilinear", align_corners=align, warning=False)
        found = inner.squeeze(0)
        ids = found.max(dim=0, keepdim=True).indices
        sample.set_data({"seg_logits": PixelData(data=found), "pred_sem_seg": PixelData(data=ids)})
    return samples


def _padding(about: dict[str, Any]) -> Sequence[int]:
    """Pixels that were added left, right, above and below."""
    padding: Sequence[int] = about.get("img_padding_size", about.get("padding_size", [0] * 4))
    return padding
