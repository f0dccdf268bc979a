"""What a person must know who gets a model: how to feed it, how good it is, and on what.

Imports neither torch nor mmseg.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from segbench.datasets.manifest import ClassEntry
from segbench.system.run_records import MetricsRecord, TrainRecord


class Reads(Protocol):
    """How the graph reads an image."""

    divisor: int


def model_card(
    run: Path,
    classes: Sequence[ClassEntry],
    reads: Reads,
    agreement: float,
    images: int,
    size: tuple[int, int] | None,
) -> str:
    """The model card of a run, in Markdown.

    Args:
        run: its folder.
        classes: names and colours, by id.
        reads: how the graph reads an image.
        agreement: share of the pixels that get the same class from the graph and the model.
        images: on how many that was tried.
        size: height and width that the graph reads; None for any.
    """
    trained = TrainRecord.read(run / "train.json")
    scores = MetricsRecord.read(run / "metrics.json")
    height_width = "of any size" if size is None else f"of {size[1]}x{size[0]}"
    lines = [
        f"# {_plain(trained.run)}",
        "",
        f"Predicts the class of each pixel. Trained on {_plain(trained.dataset)}.",
        "",
        "## Use",
        "",
        f"`model.onnx` reads `image`, uint8 [1, 3, height, width], {height_width}: red, green and "
        "blue from 0 to 255, as they are. It gives `classes`, int64 [1, height, width]: the id of "
        "each pixel's class. Resizing, normalisation and padding are in the graph.",
        "",
        "```python",
        "import numpy, onnxruntime, PIL.Image",
        'session = onnxruntime.InferenceSession("model.onnx")',
        'image = numpy.asarray(PIL.Image.open("photo.jpg").convert("RGB"))',
        'classes = session.run(None, {"image": image.transpose(2, 0, 1)[None]})[0][0]',
        "```",
        "",
        f"On {images} real images at least {100 * agreement:.2f} % of the pixels of each get the "
        "same class as from the model in PyTorch.",
        "",
        "## Classes",
        "",
        "| id | class | red, green, blue |",
        "|--:|---|---|",
        *(f"| {i} | {_plain(c.name)} | {', '.join(map(str, c.color))} |"
          for i, c in enumerate(classes)),
        "",
        "## Scores",
        "",
        f"Mean IoU {100 * scores.miou:.1f} %, pixel accuracy {100 * scores.aacc:.1f} %, of this "
        f"one training, on {scores.images} images: {scores.protocol}. The comparison that it "
        "comes from says how sure that is.",
        "",
        "| class | IoU % |",
        "|---|--:|",
        *(f"| {_plain(name)} | {'–' if iou is None else f'{100 * iou:.1f}'} |"
          for name, iou in scores.iou.items()),
        "",
        "## Training",
        "",
        f"{trained.iterations} iterations, best at {trained.best_iteration}; batch "
        f"{trained.batch_size}, crop {trained.crop_in_words()}, starting from "
        f"{trained.initialization}, seed {trained.seed}.",
        "",
        "The licence of the weights depends on those of the data, and of the weights that the "
        "training started from.",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _plain(text: str) -> str:
    """A text that is no markup in a table."""
    for sign in ("\\", "|", "`", "*", "_", "<", "[", "]"):
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
