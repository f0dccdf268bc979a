"""Published transforms that are equal to the bit and to the draw, in a fraction of the time.

NumPy walks backwards through what it has flipped, and a table is read value by value: OpenCV's own
flips, sums and products are many times as fast. Imports mmseg.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import mmcv
import numpy as np
import numpy.typing as npt
import torch
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs, PhotoMetricDistortion, RandomFlip
from mmseg.registry import TRANSFORMS
from torch import nn

Pixels = npt.NDArray[np.uint8]
Step = Mapping[str, object]
# transforms of this module, by the published ones that they are equal to
EQUALS = {
    "PhotoMetricDistortion": "PhotoMetricTables",
    "PackSegInputs": "PackedPlanes",
    "RandomFlip": "FlippedByOpenCV",
}
# where a sample keeps its maps, by what the transforms call them
MAPS = {"gt_seg_map": "gt_sem_seg", "gt_edge_map": "gt_edge_map"}
AXES = {"horizontal": 1, "vertical": 0, "diagonal": -1}
VALUES = np.arange(256, dtype=np.uint8)
# of a product that OpenCV rounds and the published transform cuts off; equality is checked
TO_CUT_OFF = -0.4999


def equal_but_faster(pipeline: Sequence[Step]) -> list[Step]:
    """A pipeline with faster transforms where they are equal to the bit and to the draw."""
    return [
        # whether left and right change places in labels is not seen to here
        step if "swap_seg_labels" in step else {**step, "type": EQUALS.get(kind, kind)}
        for step in pipeline
        for kind in [str(step["type"])]
    ]


def widen_labels(model: nn.Module) -> None:
    """Have a model widen the labels it learns from to 64 bits, where it computes.

    Args:
        model: a segmentor, whose preprocessor gets a hook.
    """
    model.get_submodule("data_preprocessor").register_forward_hook(_widened)


def _widened(preprocessor: nn.Module, _: object, batch: dict[str, Any]) -> None:
    if not preprocessor.training:
        return  # predictions are compared with labels as they are
    for sample in batch["data_samples"]:
        for name in MAPS.values():
            if name in sample:
                label = sample.get(name)
                label.data = label.data.long()


@TRANSFORMS.register_module()
class PackedPlanes(PackSegInputs):  # type: ignore[misc]
    """`PackSegInputs` that separates channels by OpenCV, and leaves labels as small as they are.

    Labels of eight bits are widened by the model, see `widen_labels`: between processes, and
    on the way to a GPU, they take an eighth.
    """

    def transform(self, results: dict[str, object]) -> dict[str, object]:
        """Pack the image and all maps of labels."""
        image = np.asarray(results["img"])
        if image.ndim == 3:
            planes = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
            cv2.split(image, list(planes))
            # that their order in memory is already the wanted one is seen by its strides
            results["img"] = planes.transpose(1, 2, 0)
        small = {key: np.asarray(results.pop(key)) for key in MAPS if _is_small(results.get(key))}
        packed: dict[str, object] = super().transform(results)
        sample: Any = packed["data_samples"]
        for key, label in small.items():
            # a copy, because what is mapped into memory cannot be written
            sample.set_data({MAPS[key]: PixelData(data=torch.from_numpy(label[None].copy()))})
        return packed


def _is_small(label: object) -> bool:
    return _has_bytes(label) and np.ndim(label) == 2  # type: ignore[arg-type]


def _has_bytes(pixels: object) -> bool:
    return isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8


@TRANSFORMS.register_module()
class FlippedByOpenCV(RandomFlip):  # type: ignore[misc]
    """`RandomFlip` of images and maps."""

    def _choose_direction(self) -> str | None:
        """A direction, or none, by the random number that `numpy.random.choice` would draw."""
        if not isinstance(self.direction, str) or not isinstance(self.prob, float):
            chosen: str | None = super()._choose_direction()
            return chosen
        is_flipped = np.random.random_sample() < self.prob / (self.prob + (1 - self.prob))
        return self.direction if is_flipped else None

    def _flip(self, results: dict[str, Any]) -> None:
        keys = ("img", *results.get("seg_fields", []))
        if not all(_has_bytes(results.get(key)) for key in keys):
            super()._flip(results)  # OpenCV would make 32 bits of 64
            return
        for key in keys:
            flipped = cv2.flip(results[key], AXES[results["flip_direction"]])
            results[key] = flipped.reshape(results[key].shape)  # it drops a single channel
        results["swap_seg_labels"] = None


@TRANSFORMS.register_module()
class PhotoMetricTables(PhotoMetricDistortion):  # type: ignore[misc]
    """`PhotoMetricDistortion` by what becomes of each of the 256 values."""

    def convert(self, img: Pixels, alpha: float = 1, beta: float = 0) -> Pixels:
        """Multiply, add and clip."""
        table = super().convert(VALUES, alpha, beta)
        if alpha == 1 and np.array_equal(table, _shifted(VALUES, beta)):
            return _shifted(img, beta)
        if beta == 0 and np.array_equal(table, _multiplied(VALUES, alpha)):
            return _multiplied(img, alpha)
        return np.asarray(cv2.LUT(img, table), np.uint8)

    def saturation(self, img: Pixels) -> Pixels:
        """Multiply the saturation, at random in every other image."""
        if not np.random.randint(2):
            return img
        factor = np.random.uniform(self.saturation_lower, self.saturation_upper)
        hue, saturation, value = cv2.split(mmcv.bgr2hsv(img))
        changed = cv2.merge([hue, self.convert(saturation, alpha=factor), value])
        return np.asarray(mmcv.hsv2bgr(changed), np.uint8)

    def hue(self, img: Pixels) -> Pixels:
        """Turn the hue, at random in every other image."""
        if not np.random.randint(2):
            return img
        degrees = np.random.randint(-self.hue_delta, self.hue_delta)
        hue, saturation, value = cv2.split(mmcv.bgr2hsv(img))
        turned = ((np.arange(256) + degrees) % 180).astype(np.uint8)
        return np.asarray(
            mmcv.hsv2bgr(cv2.merge([cv2.LUT(hue, turned), saturation, value])), np.uint8
        )


def _shifted(pixels: Pixels, by: float) -> Pixels:
    """A sum with a whole number, clipped."""
    whole: Any = abs(math.floor(by))  # the stubs of OpenCV know no numbers here
    flat = pixels.reshape(len(pixels), -1)  # it would be added to the first channel alone
    shifted = cv2.add(flat, whole) if by >= 0 else cv2.subtract(flat, whole)
    return np.asarray(shifted, np.uint8).reshape(pixels.shape)


def _multiplied(pixels: Pixels, by: float) -> Pixels:
    """A product, cut off and clipped."""
    scaled = cv2.convertScaleAbs(pixels, alpha=by, beta=TO_CUT_OFF)
    return np.asarray(scaled, np.uint8).reshape(pixels.shape)
