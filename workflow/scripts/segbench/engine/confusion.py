"""Predict labelled images one by one and count what is right. Imports torch and mmseg."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import DataLoader

from segbench.engine.mishaps import reader_died
from segbench.scores import metrics


@dataclass(frozen=True, slots=True)
class Prediction:
    """One validation image, predicted.

    Attributes:
        name: of the frame.
        classes: predicted class ids, uint8 [height, width] at the label's size; one beyond the
            last class where the prediction has no counterpart.
        counts: confusion matrix of the image.
        seconds: of the forward pass, from the decoded image to class ids.
    """

    name: str
    classes: npt.NDArray[np.uint8]
    counts: metrics.Counts
    seconds: float


def predictions(
    model: nn.Module,
    loader: DataLoader[object],
    classes: int,
    class_map: Sequence[int] | None = None,
) -> Iterator[Prediction]:
    """Predict every image of a loader; leaves the model in evaluation mode.

    Args:
        model: an MMSegmentation segmentor.
        loader: gives one image at a time with its label.
        classes: number of classes.
        class_map: class id for each id that the model predicts, negative where there is none. Such
            a prediction is wrong, never ignored: it is counted as id `classes`.
    """
    table = None if class_map is None else class_table(class_map, classes)
    model.eval()
    with torch.no_grad():
        for batch in _read(loader):
            # some heads (SegNeXt's) draw random numbers even here
            torch.manual_seed(0)
            began = _now()
            sample = model.test_step(batch)[0]  # type: ignore[operator]
            predicted = sample.pred_sem_seg.data[0].to(torch.uint8).cpu().numpy()
            predicted = predicted if table is None else table[predicted]
            seconds = _now() - began
            truth = batch["data_samples"][0].gt_sem_seg.data[0].to(torch.uint8).cpu().numpy()
            yield Prediction(
                name=Path(sample.img_path).stem,
                classes=predicted,
                counts=metrics.confusion_matrix(
                    truth, predicted, classes, more_predictions=int(table is not None)
                ),
                seconds=seconds,
            )


def _read(loader: DataLoader[object]) -> Iterator[Any]:
    """The batches of a loader.

    Raises:
        ModelError: a process that reads images was killed.
    """
    batches = iter(loader)
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


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
