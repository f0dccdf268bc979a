"""What all figures share: how they are saved, and the classes in their colours.

Needs matplotlib, never torch. Knows nothing of runs, so that a card of a dataset does not depend
on how runs are compared.
"""

import glob
from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from segbench.datasets.manifest import Manifest

matplotlib.use("Agg")
plt.rcParams["svg.hashsalt"] = "segbench"  # the same figure gives the same file
plt.rcParams["text.parse_math"] = False  # a dollar sign in a class name is a dollar sign
DPI = 150
VOID = (20, 20, 20)
PLACEHOLDER = (192, 320)  # height and width of a picture that is missing


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG and PNG beside each other; `path` may name either."""
    for suffix in (".svg", ".png"):
        metadata = {"Date": None} if suffix == ".svg" else {}
        figure.savefig(path.with_suffix(suffix), bbox_inches="tight", dpi=DPI, metadata=metadata)
    plt.close(figure)


def class_handles(manifest: Manifest) -> list[Patch]:
    """Entries of a legend: the classes in their colours, and void."""
    handles = [
        Patch(facecolor=_rgb(c.color), edgecolor="#52606d", label=c.name) for c in manifest.classes
    ]
    return [*handles, Patch(facecolor=_rgb(VOID), label="void")]


def read_image(
    dataset: Path, split: str, name: str, size: tuple[int, int] = PLACEHOLDER
) -> npt.NDArray[np.uint8]:
    """An image of a prepared dataset, red, green and blue, [height, width, 3].

    Args:
        dataset: folder of it.
        split: that the image is in.
        name: of the frame.
        size: height and width of what stands in its place if it is gone, which says so.
    """
    path = next((dataset / f"{split}_img").glob(f"{glob.escape(name)}.*"), None)
    image = None if path is None else cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is not None:
        return np.asarray(image, np.uint8)[:, :, ::-1]
    blank = np.full((*size, 3), 225, np.uint8)
    scale = size[1] / 320
    for i, line in enumerate(("this image is missing:", f"{split}_img/{name}")):
        place = round(8 * scale), round(size[0] / 2 + 18 * i * scale)
        cv2.putText(
            blank, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42 * scale, (60, 60, 60), 1, cv2.LINE_AA
        )
    return blank


def read_label(
    dataset: Path, split: str, name: str, size: tuple[int, int] = PLACEHOLDER
) -> npt.NDArray[np.uint8]:
    """A label of a prepared dataset, class ids [height, width]; all void if it is gone.

    Args:
        dataset: folder of it.
        split: that the image is in.
        name: of the frame.
        size: height and width if it is gone.
    """
    ids = cv2.imread(str(dataset / f"{split}_label" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
    return np.full(size, 255, np.uint8) if ids is None else np.asarray(ids, np.uint8)


def color_table(manifest: Manifest) -> npt.NDArray[np.uint8]:
    """Colours by class id, uint8 [256, 3]; ids without a class are drawn as void."""
    table = np.full((256, 3), VOID, np.uint8)
    for i, found in enumerate(manifest.classes):
        table[i] = found.color
    return table


def _rgb(color: Sequence[int]) -> tuple[float, float, float]:
    red, green, blue = (channel / 255 for channel in color)
    return red, green, blue
