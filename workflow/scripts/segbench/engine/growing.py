"""What a model and its transforms do when crops grow. Imports mmengine."""

from collections.abc import Sequence
from typing import Any, Self

from mmcv.transforms import Pad
from mmengine.config import Config
from mmengine.model import BaseModel

from segbench.recipe.growing_crop import GrowingCrop

# what transforms call the size of their crop: `segbench.engine.transforms`, MMSegmentation
NAMES_OF_SIZE = {"CropOfResized": "crop", "RandomCrop": "crop_size"}


class GrowingModel:
    """Has a model expect the crops of an iteration.

    Args:
        model: in training.
        growth: of its crops.
    """

    def __init__(self, model: BaseModel, growth: GrowingCrop) -> None:
        self._preprocessor, self._growth = model.data_preprocessor, growth
        samplers = [getattr(module, "sampler", None) for module in model.modules()]
        parts: list[Any] = [*model.modules(), *samplers]
        # how many pixels count at least is a share of those of the whole crop
        self._kept = [(part, part.min_kept) for part in parts if hasattr(part, "min_kept")]

    @classmethod
    def of(cls, model: BaseModel, config: Config) -> Self | None:
        """That of a rendered config, None if its crops do not grow."""
        growth = GrowingCrop.of(config)
        return cls(model, growth) if growth else None

    def of_whole(self, images: int, iteration: int) -> int:
        """How many whole crops have the pixels of so many crops of an iteration."""
        return int(images * self._growth.share(iteration))

    def heavier(self, first: int, now: int, last: int) -> float:
        """How many times as long one iteration from now to the last takes as one before, about."""
        return self._growth.heavier(first, now, last)

    def expect(self, iteration: int) -> None:
        """Pad to the crops of an iteration, and keep the same share of hard pixels."""
        self._preprocessor.size = self._growth.seen(iteration)
        for part, kept in self._kept:
            part.min_kept = max(1, round(self._growth.share(iteration) * kept))


def crop_to(transforms: Sequence[object], crop: tuple[int, int]) -> None:
    """Have the transforms of a pipeline cut crops of a height and width."""
    for transform in transforms:
        kind = type(transform).__name__
        if kind in NAMES_OF_SIZE:
            setattr(transform, NAMES_OF_SIZE[kind], crop)
        elif isinstance(transform, Pad) and transform.size is not None:
            transform.size = crop[::-1]  # MMCV writes width first
