"""Crops that grow in the course of a training, so that its first iterations take less time.

How large the crop of an iteration is follows from the iteration alone.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from segbench.errors import ModelError
from segbench.recipe.context import Adaptation
from segbench.recipe.model import rounded_up
from segbench.recipe.section import RunSection
from segbench.zoo.families import COARSEST_STRIDE, FIXED_SIZE_BACKBONES, patch_size
from segbench.zoo.tree import Shape

REMEDY = "Set it to 1 for this model"
GROWS_FOR = 0.75  # share of the training after which crops are whole


@dataclass(frozen=True)
class GrowingCrop:
    """The crop of each iteration.

    Attributes:
        whole: height and width in pixels that crops grow to.
        start: share of its sides at which they begin.
        iterations: of the training.
        batch: images of an iteration.
        patch: sides that the model sees are multiples of it.
    """

    whole: Shape
    start: float
    iterations: int
    batch: int
    patch: int = 1

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Self | None:
        """That of a rendered config, None if its crops do not grow."""
        section = RunSection.of(config)
        if section.growing_crop is None:
            return None
        return cls(
            section.crop_size, section.growing_crop, config["train_cfg"]["max_iters"],
            section.batch_size, patch_size(config["model"]["backbone"]),
        )  # fmt: skip

    def at(self, iteration: int) -> Shape:
        """Height and width of the crops in an iteration, in pixels.

        They grow in steps of the coarsest stride of all backbones: whatever a model does with a
        side of the whole crop that does not divide, it does with theirs.
        """
        missing = 1 - min(1.0, iteration / (GROWS_FOR * self.iterations))
        steps = ((1 - self.start) * side / COARSEST_STRIDE for side in self.whole)
        height, width = (
            side - COARSEST_STRIDE * min(round(missing * most), math.floor(most))
            for side, most in zip(self.whole, steps, strict=True)
        )
        return height, width

    def at_position(self, position: int) -> Shape:
        """Height and width of the crop at a position of the training."""
        return self.at(position // self.batch)

    def seen(self, iteration: int) -> Shape:
        """What the model sees in an iteration: crops padded to whole patches."""
        height, width = (rounded_up(side, self.patch) for side in self.at(iteration))
        return height, width

    def share(self, iteration: int) -> float:
        """Pixels of a crop in an iteration, relative to those of a whole one."""
        return math.prod(self.at(iteration)) / math.prod(self.whole)

    def heavier(self, first: int, now: int, last: int) -> float:
        """Pixels of an iteration from now to the last, relative to one from the first to now."""
        return self._mean_share(now, last) / self._mean_share(first, now)

    def _mean_share(self, first: int, last: int) -> float:
        # a hundred of them, because this is asked for every few seconds
        count = max(1, min(100, last - first))
        return statistics.fmean(
            self.share(first + i * (last - first) // count) for i in range(count)
        )


def share_of_pixels(run: Adaptation) -> float:
    """Pixels of all crops of a training, relative to those of whole ones."""
    if run.training.grows_from is None:
        return 1.0
    # the thousandths of a training: its length does not matter
    growth = GrowingCrop(run.crop, run.training.grows_from, 1000, run.batch)
    return statistics.fmean(map(growth.share, range(1000)))


def fit_growing_crop(run: Adaptation) -> None:
    """Prove that the crops of a run can grow, and say how, if they are to.

    Raises:
        ModelError: the recipe cuts no crops, the model knows one size of images, or the crop is
            too small to grow.
    """
    start, backbone = run.training.grows_from, run.config.model.backbone.get("type")
    if start is None or not run.is_trained:
        return
    pipeline = run.config.train_dataloader.dataset.pipeline
    if not any(step["type"] == "RandomCrop" for step in pipeline):
        raise ModelError(f"`training.growing_crop`: its recipe cuts no crops. {REMEDY}")
    if backbone in FIXED_SIZE_BACKBONES:
        raise ModelError(f"`training.growing_crop`: {backbone} knows one crop. {REMEDY}")
    first = GrowingCrop(run.crop, start, run.iters, run.batch).at(0)
    if first == run.crop:
        raise ModelError(
            f"`training.growing_crop`: crops of {run.crop[0]}x{run.crop[1]} cannot begin at "
            f"{start:g} of their sides in steps of {COARSEST_STRIDE} pixels. Lower it, or set it "
            "to 1"
        )
    run.note(
        f"crops begin at {first[0]}x{first[1]} and are whole after {GROWS_FOR:.0%} of the training"
    )
