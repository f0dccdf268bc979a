"""Writing label maps as PNG: ours against what OpenCV and Pillow offer, on the same maps.

All writers take turns in one process on each map; the median time and the size are printed. Give
a real annotation with `--annotation`; without one, the maps are of drawn scenes.
"""

import argparse
import io
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

from timing import seconds

from segbench.datasets.description import load_description
from segbench.datasets.labels import LabelReader
from segbench.datasets.png import encode_png
from segbench.demo.dataset import draw_dataset

ROOT = Path(__file__).parents[1]
DRAWN, SIZE, ROUNDS = 2, (1080, 1920), 15

LabelMap = npt.NDArray[np.uint8]


def with_opencv(*settings: int) -> Callable[[LabelMap], bytes]:
    """A writer of OpenCV with these settings."""
    return lambda ids: cv2.imencode(".png", ids, settings)[1].tobytes()


def with_pillow(level: int) -> Callable[[LabelMap], bytes]:
    """A writer of Pillow with this level of compression."""

    def encode(ids: LabelMap) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(ids).save(stream, "PNG", compress_level=level)
        return stream.getvalue()

    return encode


LEVEL, STRATEGY = cv2.IMWRITE_PNG_COMPRESSION, cv2.IMWRITE_PNG_STRATEGY
WRITERS: dict[str, Callable[[LabelMap], bytes]] = {
    "segbench (isal)": encode_png,
    "OpenCV, default": with_opencv(),
    "OpenCV, level 1": with_opencv(LEVEL, 1),
    "OpenCV, level 1, RLE": with_opencv(LEVEL, 1, STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    "OpenCV, level 1, filter up, RLE": with_opencv(
        LEVEL, 1, STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE,
        cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP,
    ),
    "Pillow, default": with_pillow(6),
    "Pillow, level 1": with_pillow(1),
}  # fmt: skip


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--annotation", type=Path, help="JSON of polygons in the form of IDD")
    options = parser.parse_args()
    cv2.setNumThreads(1)  # as in the processes of the preparation
    for name, ids in maps(options.annotation).items():
        print(f"{name}, {ids.shape[1]}x{ids.shape[0]}, median of {ROUNDS}:")
        compare(ids)


def maps(annotation: Path | None) -> dict[str, LabelMap]:
    """Label maps by name: of the annotation, or of drawn scenes."""
    reader = LabelReader(load_description(ROOT / "config/datasets/idd20k2.yaml"))
    if annotation is not None:
        return {annotation.name: reader.read(annotation.read_bytes())}
    with tempfile.TemporaryDirectory() as folder:
        draw_dataset(Path(folder), "urban", DRAWN, 1, SIZE)
        paths = sorted(Path(folder).rglob("train/**/*_polygons.json"))
        return {path.name: reader.read(path.read_bytes()) for path in paths}


def compare(ids: LabelMap) -> None:
    """Let all writers encode a map in turns; print time, ratio and size."""
    for encode in WRITERS.values():
        read = cv2.imdecode(np.frombuffer(encode(ids), np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(read, ids)
    times: dict[str, list[float]] = {name: [] for name in WRITERS}
    for _ in range(ROUNDS):
        for name, encode in WRITERS.items():
            times[name].append(seconds(lambda encode=encode: encode(ids)))
    ours = statistics.median(times["segbench (isal)"])
    for name, encode in WRITERS.items():
        taken, size = statistics.median(times[name]), len(encode(ids))
        ratio, kib = taken / ours, size / 1024
        print(f"  {name:34s}{1000 * taken:7.2f} ms  {ratio:5.1f} times ours  {kib:6.1f} KiB")


if __name__ == "__main__":
    main()
