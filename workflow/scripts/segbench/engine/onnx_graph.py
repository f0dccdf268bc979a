"""A model as an ONNX graph that reads pixels and gives class ids. Imports torch and mmseg.

What comes before and after the network is in the graph, so that nothing is left to do wrong: it
reads red, green and blue from 0 to 255, and gives the id of each pixel's class.
"""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from mmcv.image import rescale_size
from torch import Tensor, nn
from torch.nn import functional

from segbench.errors import ModelError

INPUT, OUTPUT = "image", "classes"
OPSET = 17


class PixelsToClasses(nn.Module):
    """From an image to class ids.

    Args:
        model: an MMSegmentation segmentor, on the CPU and in evaluation mode.
        ids: class id for each id that the model predicts, [256]; see `Predictor`.
        scale: width and height within which an image is resized first, its sides in their
            proportion; None for as it is.
    """

    mean: Tensor
    std: Tensor
    ids: Tensor

    def __init__(
        self,
        model: nn.Module,
        ids: npt.NDArray[np.uint8],
        scale: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.model, self.scale = model, scale
        settings: Any = model.data_preprocessor
        # configs name their numbers in the order in which the network reads the channels
        self.register_buffer("mean", settings.mean.clone().view(1, 3, 1, 1))
        self.register_buffer("std", settings.std.clone().view(1, 3, 1, 1))
        self.register_buffer("ids", torch.from_numpy(ids.astype(np.int64)))
        self.reads_rgb = bool(settings._channel_conversion)
        self.divisor = int((settings.test_cfg or {}).get("size_divisor") or 1)
        head: Any = model.decode_head
        self.threshold = float(getattr(head, "threshold", None) or 0.5)

    def forward(self, image: Tensor) -> Tensor:
        """Class ids, int64 [1, height, width], of uint8 [1, 3, height, width] in RGB."""
        pixels = self._resized(image)
        if not self.reads_rgb:
            pixels = pixels.flip(1)
        pixels = (pixels - self.mean) / self.std
        height, width = pixels.shape[2:]
        if self.divisor > 1:
            down, right = -height % self.divisor, -width % self.divisor
            pixels = functional.pad(pixels, (0, right, 0, down))
        size = pixels.shape[2:]
        meta = [{"ori_shape": size, "img_shape": size, "pad_shape": size, "padding_size": [0] * 4}]
        model: Any = self.model
        logits: Tensor = model.encode_decode(pixels, meta)[:, :, :height, :width]
        if self.scale:
            logits = functional.interpolate(
                logits, image.shape[2:], mode="bilinear", align_corners=model.align_corners
            )
        if logits.shape[1] == 1:
            return self.ids[(logits.sigmoid() > self.threshold).long().squeeze(1)]
        return self.ids[logits.argmax(1)]

    def _resized(self, image: Tensor) -> Tensor:
        """Pixels as the test pipeline resizes them."""
        if self.scale is None:
            return image.float()
        there = int(image.shape[3]), int(image.shape[2])
        width, height = rescale_size(there, self.scale)
        return resized(image, (height, width))


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize bytes as OpenCV does by bilinear interpolation, in its whole numbers.

    It weighs by multiples of 1/2048 and cuts off on the way, so that one value in ten is another
    than that of an exact interpolation.

    Args:
        image: uint8 [1, 3, height, width].
        size: height and width that are wanted.

    Returns:
        float32 [1, 3, height, width], whole numbers from 0 to 255.
    """
    pixels = image.long()
    first, second, less, more = _taps(size[1], int(image.shape[3]))
    across = pixels[:, :, :, first] * less + pixels[:, :, :, second] * more
    first, second, less, more = _taps(size[0], int(image.shape[2]), weighs_ends=True)
    upper = less.unsqueeze(1) * (across[:, :, first] // 16) // 65536
    lower = more.unsqueeze(1) * (across[:, :, second] // 16) // 65536
    return ((upper + lower + 2) // 4).float()


def _taps(
    wanted: int, there: int, weighs_ends: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Between which two pixels each that is wanted lies, and their weights, in 1/2048.

    Before the first pixel and after the last one both are the same. OpenCV still weighs them down
    a column, and cuts off each, but not along a row.
    """
    place = ((np.arange(wanted) + 0.5) * (there / wanted) - 0.5).astype(np.float32)
    first = np.floor(place)
    share = place - first
    if not weighs_ends:
        share = np.where((first < 0) | (first >= there - 1), np.float32(0), share)
    weights = (np.rint(one * np.float32(2048)) for one in (np.float32(1) - share, share))
    found = (first.clip(0, there - 1), (first + 1).clip(0, there - 1), *weights)
    left, right, less, more = (torch.from_numpy(one.astype(np.int64)) for one in found)
    return left, right, less, more


def write_graph(
    network: PixelsToClasses, path: Path, size: tuple[int, int], any_size: bool
) -> None:
    """Write the graph.

    Args:
        network: what it does.
        path: of the ONNX file.
        size: height and width of the image by which it is traced.
        any_size: whether images of other sizes shall be read, too.

    Raises:
        ModelError: the model does something that ONNX has no word for.
    """
    example = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)
    free = {INPUT: {2: "height", 3: "width"}, OUTPUT: {1: "height", 2: "width"}}
    try:
        with _quiet(), _poolings_of_any_size(), torch.no_grad():
            torch.onnx.export(
                network, (example,), str(path), input_names=[INPUT], output_names=[OUTPUT],
                dynamic_axes=free if any_size else None, opset_version=OPSET, dynamo=False,
            )  # fmt: skip
    except Exception as error:  # the model's code is foreign
        text = " ".join(str(error).split())[:300]
        raise ModelError(f"cannot be written as ONNX: {type(error).__name__}: {text}") from None


@contextlib.contextmanager
def _poolings_of_any_size() -> Iterator[None]:
    """Write adaptive pooling as two products of matrices, which know the size when they are run.

    ONNX has no adaptive pooling, and the exporter only writes one whose size it knows.
    """
    with mock.patch.object(functional, "adaptive_avg_pool2d", _pooled):
        yield


def _pooled(image: Tensor, output_size: Any) -> Tensor:
    wanted = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    if tuple(wanted) == (1, 1):
        return image.mean((2, 3), keepdim=True)
    rows, columns = (
        _windows(image.shape[2 + i] if one is None else one, image.shape[2 + i], image)
        for i, one in enumerate(wanted)
    )
    return rows @ image @ columns.transpose(0, 1)


def _windows(wanted: Any, there: Any, like: Tensor) -> Tensor:
    """Shares of each of the pixels that are there in each that is wanted, [wanted, there]."""
    place = torch.arange(wanted, device=like.device).unsqueeze(1)
    first = torch.div(place * there, wanted, rounding_mode="floor")
    last = torch.div((place + 1) * there + wanted - 1, wanted, rounding_mode="floor")
    pixel = torch.arange(there, device=like.device).unsqueeze(0)
    inside = ((pixel >= first) & (pixel < last)).to(like.dtype)
    return inside / inside.sum(1, keepdim=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's remarks: what is written is compared with the model afterwards."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
