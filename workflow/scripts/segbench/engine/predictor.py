"""A trained model that is ready for new images, from a run or from the zoo.

Imports torch and mmseg.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from torch import Tensor, nn

from segbench.datasets.manifest import ClassEntry, Manifest, SplitSummary
from segbench.engine.build import build_model, load_config, ready_on, trained_model
from segbench.engine.checkpoints.class_rows import load_whole
from segbench.engine.confusion import class_table
from segbench.engine.shortcuts.take import take_shortcuts
from segbench.errors import ModelError
from segbench.recipe.context import Recipe
from segbench.recipe.render import render
from segbench.recipe.section import RunSection
from segbench.system.run_records import confirmed_digest
from segbench.zoo.names import config_path

NO_CLASS = 255  # where a class of the source has no counterpart
Ids = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Predictor:
    """A model, and what is needed to feed it and to read what it gives.

    Attributes:
        name: of the run or of the zoo config.
        model: on its device, in evaluation mode.
        pipeline: from a decoded image to what the model reads.
        classes: names and colours, by id.
        ids: class id for each id that the model predicts, uint8 [256].
    """

    name: str
    model: nn.Module
    pipeline: Compose
    classes: tuple[ClassEntry, ...]
    ids: Ids

    def predict(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[tuple[Ids, Ids]]:
        """Predict images of one size, in windows where the model wants them.

        Args:
            images: uint8 [height, width, 3], blue, green and red as OpenCV reads them.

        Returns:
            For each image class ids, uint8 [height, width] at its own size, and how sure the model
            is of them: the highest probability, 0 to 255 for 0 to 1.
        """
        torch.manual_seed(0)  # some heads (SegNeXt's) draw random numbers even here
        batch = pseudo_collate([self.pipeline({"img": image}) for image in images])
        with torch.inference_mode():
            samples = self.model.test_step(batch)  # type: ignore[operator]
        return [
            (
                self.ids[sample.pred_sem_seg.data[0].to(torch.uint8).cpu().numpy()],
                _confidence(sample.seg_logits.data),
            )
            for sample in samples
        ]


def predictor_of_run(folder: Path, device: str, as_published: bool = False) -> Predictor:
    """The model of a finished run.

    Args:
        folder: of the run, which holds `config.py` and `best.pth`.
        device: such as `cpu` or `cuda:0`.
        as_published: compute each part as MMSegmentation does, instead of by shortcuts.

    Raises:
        ModelError: the folder is not of a finished run, or was made by another version.
        DataError: the weights are not those that its training wrote.
    """
    for name in ("config.py", "best.pth"):
        if not (folder / name).is_file():
            raise ModelError(f"{folder}: is not a finished run: it has no {name}")
    confirmed_digest(folder / "best.pth")
    config = load_config(folder / "config.py")
    model = trained_model(config, folder / "best.pth")
    if not as_published:
        take_shortcuts(model)
    section = RunSection.of(config)
    mapped = section.source.class_map if section.source and section.is_zero_shot else None
    return _ready(section.run, model, config, device, mapped)


def predictor_of_zoo(name: str, classes: Sequence[str], checkpoint: Path, device: str) -> Predictor:
    """A published model as it is.

    Args:
        name: of its config.
        classes: names of the classes that it predicts.
        checkpoint: its weights.
        device: such as `cpu` or `cuda:0`.

    Raises:
        ModelError: it cannot be built here, or the weights do not fit.
    """
    recipe = Recipe(
        run=name, initialization="zero_shot", seed=0, weights=str(checkpoint),
        source_classes=classes, class_map=tuple(range(len(classes))),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="segbench-predict-") as place:
        manifest = Path(place) / "manifest.json"
        _manifest_of(name, classes).write(manifest)
        (Path(place) / "config.py").write_text(render(config_path(name), manifest, recipe))
        config = load_config(Path(place) / "config.py")
    model, _ = build_model(config, load=False)
    load_whole(model, checkpoint)
    take_shortcuts(model)
    return _ready(name, model, config, device, None)


def _ready(
    name: str, model: nn.Module, config: Config, device: str, mapped: Sequence[int] | None
) -> Predictor:
    metainfo = config.test_dataloader.dataset.metainfo
    class_map = range(len(metainfo.classes)) if mapped is None else mapped
    steps = [step for step in config.test_pipeline if step["type"] != "LoadAnnotations"]
    steps[0] = {"type": "mmseg.LoadImageFromNDArray"}
    entries = zip(metainfo.classes, metainfo.palette, strict=True)
    return Predictor(
        name=name,
        model=ready_on(device, model),
        pipeline=Compose(steps),
        classes=tuple(ClassEntry(name=one, color=tuple(color)) for one, color in entries),
        ids=class_table(class_map, NO_CLASS),
    )


def _confidence(logits: Tensor) -> Ids:
    """Highest probability of each pixel, 0 to 255; of one map, that of the likelier side."""
    if len(logits) == 1:
        likely = torch.sigmoid(logits[0].float())
        highest = torch.maximum(likely, 1 - likely)
    else:
        highest = logits.float().softmax(0).amax(0)
    return (255 * highest).round().to(torch.uint8).cpu().numpy()


def _manifest_of(name: str, classes: Sequence[str]) -> Manifest:
    """A dataset of the classes that a published model knows, in colours that are told apart."""
    nothing = [0] * len(classes)
    empty = SplitSummary(
        images=1, groups=1, class_pixels=nothing, class_images=nothing, pixels_where_seen=nothing,
        ignored_pixels=0, brightness=0.0,
    )  # fmt: skip
    entries = [ClassEntry(name=one, color=_color_of(number)) for number, one in enumerate(classes)]
    return Manifest(
        name=name[:60], classes=tuple(entries), image_sizes=((512, 512, 1),),
        splits={"train": empty, "val": empty},
    )  # fmt: skip


def _color_of(number: int) -> tuple[int, int, int]:
    """The colour that Pascal VOC gives to a number, whose bits it spreads over the channels."""
    channels, number = [0, 0, 0], number + 1
    for bit in range(7, -1, -1):
        for channel in range(3):
            channels[channel] |= (number >> channel & 1) << bit
        number >>= 3
    return channels[0], channels[1], channels[2]
