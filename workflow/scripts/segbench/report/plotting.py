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


def read_image(dataset: Path, split: str, name: str) -> npt.NDArray[np.uint8]:
    """An image of a prepared dataset, red, green and blue, [height, width, 3]."""
    path = next((dataset / f"{split}_img").glob(f"{glob.escape(name)}.*"))
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return np.asarray(image, np.uint8)[:, :, ::-1]


def read_label(dataset: Path, split: str, name: str) -> npt.NDArray[np.uint8]:
    """A label of a prepared dataset, class ids [height, width]."""
    path = dataset / f"{split}_label" / f"{name}.png"
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)


def color_table(manifest: Manifest) -> npt.NDArray[np.uint8]:
    """Colours by class id, uint8 [256, 3]; ids without a class are drawn as void."""
    table = np.full((256, 3), VOID, np.uint8)
    for i, found in enumerate(manifest.classes):
        table[i] = found.color
    return table


def _rgb(color: Sequence[int]) -> tuple[float, float, float]:
    red, green, blue = (channel / 255 for channel in color)
    return red, green, blue
