"""Predict labelled images, to be compared with their labels. Imports torch and mmseg."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmengine.structures import PixelData
from torch import nn
from torch.utils.data import DataLoader

from segbench.engine.counting import ClassIds
from segbench.engine.mishaps import read_on, reader_died


@dataclass(frozen=True, slots=True)
class Prediction:
    """One labelled image, predicted.

    Attributes:
        name: of the frame.
        truth: class ids, uint8 [height, width]; 255 where nothing is scored.
        classes: predicted class ids of the same shape; one beyond the last class where the
            prediction has no counterpart.
        worse: predicted class ids under each condition.
    """

    name: str
    truth: ClassIds
    classes: ClassIds
    worse: tuple[ClassIds, ...] = ()


def predictions(
    model: nn.Module,
    loader: DataLoader[object],
    classes: int,
    class_map: Sequence[int] | None = None,
) -> Iterator[Prediction]:
    """Predict every image of a loader; leaves the model in evaluation mode.

    Args:
        model: an MMSegmentation segmentor.
        loader: gives batches of images of equal size with their labels, or a list of a batch as
            it is and under each condition.
        classes: number of classes.
        class_map: class id for each id that the model predicts, negative where there is none. Such
            a prediction is wrong, never ignored: it is counted as id `classes`.
    """
    table = None if class_map is None else class_table(class_map, classes)
    model.eval()
    with torch.no_grad():
        for batch in _read(loader):
            forms = batch if isinstance(batch, list) else [batch]
            truths = [
                (Path(sample.img_path).stem, _on_cpu(sample.gt_sem_seg))
                for sample in forms[0]["data_samples"]
            ]
            predicted = [_class_ids(model, one, table) for one in forms]
            for (name, truth), as_it_is, *worse in zip(truths, *predicted, strict=True):
                yield Prediction(name, truth, as_it_is, tuple(worse))


def _class_ids(model: nn.Module, batch: Any, table: ClassIds | None) -> list[ClassIds]:
    """Predicted class ids of each image of a batch, [height, width]."""
    # some heads (SegNeXt's) draw random numbers even here
    torch.manual_seed(0)
    samples = model.test_step(batch)  # type: ignore[operator]
    predicted = [_on_cpu(sample.pred_sem_seg) for sample in samples]
    return predicted if table is None else [table[one] for one in predicted]


def _on_cpu(ids: PixelData) -> ClassIds:
    """Class ids that MMSegmentation keeps as [1, height, width]."""
    return np.asarray(ids.data[0].to(torch.uint8).cpu().numpy())


def _read(loader: DataLoader[object]) -> Iterator[Any]:
    """The batches of a loader.

    Raises:
        ModelError: a process that reads images was killed.
    """
    batches = read_on(loader)
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except RuntimeError as error:
            raise reader_died(error) or error from None
        yield batch


def class_table(class_map: Sequence[int], no_class: int) -> npt.NDArray[np.uint8]:
    """Class ids by predicted id, uint8 [256]; `no_class` where there is none."""
    table = np.full(256, no_class, np.uint8)
    for i, mapped in enumerate(class_map):
        table[i] = no_class if mapped < 0 else mapped
    return table
