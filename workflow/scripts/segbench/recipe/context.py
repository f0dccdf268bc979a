"""What a run asks for, and a zoo config on its way there: what all steps of an adaptation share."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mmengine.config import Config

from segbench.config.training import Training
from segbench.datasets.manifest import Manifest
from segbench.zoo.reader import published_crop, published_iters
from segbench.zoo.tree import Shape


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run asks for beyond its zoo config.

    Attributes:
        run: names the run in messages, `model/initialization/seed0`.
        initialization: `scratch`, `imagenet`, `finetuned` or `zero_shot`.
        seed: seeds weights, sampling and augmentation.
        training: how it is trained; what is left out stays as the zoo config says.
        fold: which fold is validated on, None without cross-validation.
        published_batch: total batch the zoo config was published with, None if unknown.
        weights: local checkpoint, of the backbone for `imagenet`, of the whole model for
            `finetuned` and `zero_shot`.
        source_classes: names of the classes of that whole model.
        class_map: target class of each of them, -1 where there is none.
        overrides: merged into the zoo config first, by MMEngine's rules.
    """

    run: str
    initialization: str
    seed: int
    training: Training = field(default_factory=Training)
    fold: int | None = None
    published_batch: int | None = None
    weights: str | None = None
    source_classes: Sequence[str] = ()
    class_map: Sequence[int] = ()
    overrides: Mapping[str, object] | None = None

    @classmethod
    def of(cls, run: str, published_batch: int | None, settings: Mapping[str, Any]) -> Self:
        """The recipe of a run from the plain values that a plan gives for it."""
        training = Training.model_validate(settings["training"])
        others = {key: value for key, value in settings.items() if key != "training"}
        return cls(run=run, published_batch=published_batch, training=training, **others)


class Adaptation:
    """One zoo config on its way to a dataset; collects what was changed as sentences.

    Attributes:
        config: changed step by step.
        manifest: of the prepared dataset.
        folder: where that lies.
        recipe: what the run asks for.
        published_rate: peak learning rate of the zoo config.
        published_crop, published_batch: of the zoo config.
        crop, batch, iters: of this run; height and width in pixels, images, iterations.
        notes: what was changed.
    """

    def __init__(
        self,
        config: Config,
        manifest: Manifest,
        folder: Path,
        recipe: Recipe,
        published_rate: float,
    ) -> None:
        self.config, self.manifest, self.folder = config, manifest, folder
        self.recipe, self.published_rate = recipe, published_rate
        self.notes: list[str] = []
        self.published_crop = published_crop(config)
        self.crop: Shape = recipe.training.crop_size or self.published_crop
        self.published_batch = recipe.published_batch or self._batch_of_one_gpu()
        self.batch = recipe.training.batch_size or self.published_batch
        self.iters = recipe.training.max_iters or self._iters_of_epochs() or published_iters(config)

    @property
    def training(self) -> Training:
        """How the run is trained."""
        return self.recipe.training

    @property
    def is_trained(self) -> bool:
        """Whether anything is trained."""
        return self.recipe.initialization != "zero_shot"

    def note(self, text: str) -> None:
        """Remember a change once."""
        if text not in self.notes:
            self.notes.append(text)

    def _batch_of_one_gpu(self) -> int:
        """Stand in for a published batch where no config name says how many GPUs there were."""
        batch = int(self.config.train_dataloader.get("batch_size") or 8)
        self.note(f"no name like 4xb2 says the published batch; {batch} taken, as for one GPU")
        return batch

    def _iters_of_epochs(self) -> int:
        if self.training.epochs is None:
            return 0
        images = self.manifest.splits["train"].images
        if self.recipe.fold is not None:
            images = self.manifest.folds[self.recipe.fold].train
        return math.ceil(self.training.epochs * images / self.batch)
