"""Images made worse in stated ways, on which models are scored as well. Imports torch and mmseg."""

import copy
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from mmengine.dataset import Compose
from torch.utils.data import Dataset

from segbench.engine.dataset import FrameDataset

Pixels = npt.NDArray[np.uint8]
Condition = tuple[str, float]  # kind and level, as in `segbench.config.evaluation`


def made_worse(image: Pixels, condition: Condition) -> Pixels:
    """An image under a condition; the same for every model, whatever the machine.

    Args:
        image: [height, width, channels].
        condition: kind and level of it.
    """
    kind, level = condition
    if kind == "resolution":
        return _at_resolution(image, int(level))
    if kind == "jpeg":
        settings = [cv2.IMWRITE_JPEG_QUALITY, int(level)]
        stored = cv2.imencode(".jpg", image, settings)[1]
        return np.asarray(cv2.imdecode(stored, cv2.IMREAD_COLOR), np.uint8)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), level), np.uint8)


def _at_resolution(image: Pixels, part: int) -> Pixels:
    """Reduced to so many parts by the mean of areas, and enlarged again linearly."""
    height, width = image.shape[:2]
    small = (max(1, round(width / part)), max(1, round(height / part)))
    reduced = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    enlarged = cv2.resize(reduced, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(enlarged, np.uint8)


class UnderConditions(Dataset[list[Any]]):
    """Frames as they are, and under each condition; an image is decoded once.

    Args:
        frames: with the pipeline of an evaluation, whose first step decodes the image.
        conditions: kind and level of each.
    """

    def __init__(self, frames: FrameDataset, conditions: Sequence[Condition]) -> None:
        self.frames, self.conditions = frames, conditions
        load, *steps = frames.pipeline.transforms
        self.load, self.rest = load, Compose(steps)
        # the truth is the same under all conditions, and read with the image as it is
        self.rest_without_label = Compose(
            [step for step in steps if type(step).__name__ != "LoadAnnotations"]
        )

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> list[Any]:
        """The image as it is, and under each condition, ready for the model."""
        loaded = self.load(self.frames.get_data_info(index))
        image = loaded.pop("img")
        return [
            self.rest({**copy.deepcopy(loaded), "img": image}),
            *(
                self.rest_without_label(
                    {**copy.deepcopy(loaded), "img": made_worse(image, condition)}
                )
                for condition in self.conditions
            ),
        ]
