"""Hand a trained model over: an ONNX file that is proven to predict the same, and a model card.

Imports torch and mmseg.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from segbench.engine.build import load_config
from segbench.engine.dataset import FrameDataset
from segbench.engine.model_card import model_card
from segbench.engine.onnx_graph import INPUT, PixelsToClasses, write_graph
from segbench.engine.predictor import Predictor, predictor_of_run
from segbench.errors import ModelError

LOG = logging.getLogger(__name__)
AGREEMENT = 0.999  # share of the pixels that must get the same class
IMAGES = 8  # real images on which that is tried
Pixels = npt.NDArray[np.uint8]
NEEDS = "needs the packages onnx and onnxruntime: python -m pip install onnx onnxruntime"


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        graph: the ONNX file.
        card: the model card.
        agreement: share of the pixels of real images that get the same class.
        images: on how many.
        size: height and width that the graph reads; None for any.
    """

    graph: Path
    card: Path
    agreement: float
    images: int
    size: tuple[int, int] | None


def export(run: Path, out: Path) -> Exported:
    """Write `model.onnx` and `model_card.md` of a run.

    Args:
        run: folder of the finished run, in its checkout.
        out: folder for the files.

    Raises:
        ModelError: the run is not finished, a package is missing, or the graph would predict
            otherwise than the model.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError:
        raise ModelError(f"export {NEEDS}") from None
    # what is written has no choices by the size of a map
    predictor = predictor_of_run(run, "cpu", as_published=True)
    steps = predictor.pipeline.transforms
    scale = next((step.scale for step in steps if type(step).__name__ == "Resize"), None)
    network = PixelsToClasses(predictor.model, predictor.ids, scale).eval()
    images = _windows(_images(run), predictor)
    out.mkdir(parents=True, exist_ok=True)
    graph = out / "model.onnx"
    size = (images[0].shape[0], images[0].shape[1])
    written = _written(network, predictor, graph, images, any_size=True)
    fixed: tuple[int, int] | None = None
    if written is None:
        LOG.info("%s: cannot be written for any size of image; %dx%d alone", run, *size[::-1])
        images = [image for image in images if image.shape[:2] == size]
        written, fixed = _written(network, predictor, graph, images, any_size=False), size
    if written is None:
        graph.unlink(missing_ok=True)
        raise ModelError(f"{run}: an ONNX graph of this model predicts otherwise, so none is kept")
    card = out / "model_card.md"
    exported = Exported(graph, card, written, len(images), fixed)
    text = model_card(run, predictor.classes, network, exported.agreement, len(images), fixed)
    card.write_text(text, encoding="utf-8")
    return exported


def _written(
    network: PixelsToClasses,
    predictor: Predictor,
    path: Path,
    images: Sequence[Pixels],
    any_size: bool,
) -> float | None:
    """Write the graph; how far it agrees with the model, None if that is not enough."""
    height, width = images[0].shape[:2]
    try:
        write_graph(network, path, (height, width), any_size)
        tried = [*images, *_others(images)] if any_size else images
        agreement = _agreement(predictor, path, tried)
    except ModelError as error:
        LOG.info("%s", error)
        return None
    return agreement if agreement >= AGREEMENT else None


def _agreement(predictor: Predictor, path: Path, images: Sequence[Pixels]) -> float:
    """The lowest share of the pixels of an image that `predict` gives the same class.

    Raises:
        ModelError: the graph cannot be run.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    shares = []
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        for image in images:
            batch = np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1)[None])
            ours = predictor.predict([image])[0][0]
            shares.append(float((session.run(None, {INPUT: batch})[0][0] == ours).mean()))
    except Exception as error:  # onnxruntime's errors have no common type of their own
        text = " ".join(str(error).split())[:300]
        raise ModelError(f"the graph cannot be run: {text}") from None
    return min(shares)


def _images(run: Path) -> list[Pixels]:
    """Some of the images that the run is scored on, blue, green and red."""
    settings = load_config(run / "config.py").test_dataloader.dataset
    settings = {key: value for key, value in settings.items() if key != "type"}
    frames = FrameDataset(**settings)
    rows = np.linspace(0, len(frames) - 1, min(IMAGES, len(frames))).round().astype(int)
    found = (cv2.imread(frames.get_data_info(int(row))["img_path"]) for row in dict.fromkeys(rows))
    return [np.asarray(image, np.uint8) for image in found]


def _windows(images: Sequence[Pixels], predictor: Predictor) -> list[Pixels]:
    """What the graph is given of each image: all of it, or a window where the model wants these."""
    model: Any = predictor.model
    if model.test_cfg.get("mode") != "slide":
        return list(images)
    height, width = model.test_cfg["crop_size"]
    return [np.asarray(cv2.resize(image, (width, height)), np.uint8) for image in images]


def _others(images: Sequence[Pixels]) -> list[Pixels]:
    """An image in two other sizes, so that it is tried that any size is read."""
    height, width = images[0].shape[:2]
    return [
        np.asarray(cv2.resize(images[0], (_even(width * x), _even(height * y))), np.uint8)
        for x, y in ((1.5, 1.0), (1.0, 1.5))
    ]


def _even(side: float) -> int:
    return max(64, round(side / 32) * 32)
