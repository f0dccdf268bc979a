"""Predict many images to files, so that a second call goes on where the first was stopped.

Imports cv2 and, through the predictor, torch.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from segbench.datasets.findings import UnusableError
from segbench.datasets.images import (
    UNREADABLE,
    open_image,
    reason_of,
    refuse_bands,
    refuse_foreign,
    refuse_huge,
)
from segbench.datasets.manifest import ClassEntry
from segbench.datasets.png import encode_png
from segbench.engine.predictor import NO_CLASS, Ids, Predictor
from segbench.errors import DataError
from segbench.system.files import write_whole
from segbench.system.progress import Progress
from segbench.system.records import Record

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
MOST_PIXELS = 500_000_000
DONE = ".done.csv"  # a line for each image as soon as its files are there
SHARES = "shares.csv"
RECORD = "prediction.json"
OVERLAY_SHARE = 0.55
# pixels of the letters of a legend, at least and at most, and as a share of the width
SMALLEST_LETTERS, LARGEST_LETTERS, LETTERS_SHARE = 9, 28, 1 / 45


class PredictionRecord(Record):
    """`prediction.json`: what the files of a folder were predicted by.

    Attributes:
        model: name of the run or of the zoo config.
        checkpoint_sha256: of its weights.
        classes: names and colours, by id; 255 is what has no class.
    """

    model: str
    checkpoint_sha256: str
    classes: tuple[ClassEntry, ...]


@dataclass(slots=True)
class Outcome:
    """What became of the images.

    Attributes:
        done: how many were predicted now.
        before: how many had been before.
        broken: path and reason of those that cannot be read.
    """

    done: int = 0
    before: int = 0
    broken: list[tuple[Path, str]] = field(default_factory=list)


def find_images(named: Sequence[str], results: Path) -> dict[Path, str]:
    """The images that a user names, and what to call their results.

    Args:
        named: folders, which are searched through; images; patterns such as `a/*.jpg`; and `.txt`
            files with a path in each line.
        results: folder for the results; what lies there is no image to predict.

    Returns:
        Names by path: the path below the folder that was named, without its suffix. Where two
        would be called alike, with it.

    Raises:
        DataError: a name leads nowhere, or to no image.
    """
    found = dict[Path, str]()
    for name in named:
        images = list(_images_of(name))
        for path, below in images:
            if not path.absolute().is_relative_to(results.absolute()):
                found.setdefault(path.absolute(), below)
        if not images:
            raise DataError(
                f"{name}: no image is there. Name a folder, images, a pattern in quotes, or a "
                f".txt file with a path in each line; images end in {', '.join(SUFFIXES)}."
            )
    stems = [str(Path(below).with_suffix("")) for below in found.values()]
    times = Counter(stems)
    return {
        path: below if times[stem] > 1 else stem
        for (path, below), stem in zip(found.items(), stems, strict=True)
    }


def _images_of(name: str) -> Iterator[tuple[Path, str]]:
    """Paths of images, and their path below what was named."""
    path = Path(name).expanduser()
    if path.is_dir():
        for one in sorted(path.rglob("*")):
            if one.suffix.lower() in SUFFIXES and one.is_file():
                yield one, one.relative_to(path).as_posix()
    elif path.suffix == ".txt" and path.is_file():
        for line in path.read_text(encoding="utf-8-sig").splitlines():
            if line.strip():
                listed = path.parent / line.strip()
                yield listed, Path(line.strip()).name
    elif path.is_file():
        yield path, path.name
    else:
        root = Path(path.anchor) if path.is_absolute() else Path()
        pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else str(path)
        for one in sorted(root.glob(pattern)):
            if one.is_file() and one.suffix.lower() in SUFFIXES:
                yield one, one.name


def predict_images(
    predictor: Predictor,
    images: dict[Path, str],
    folder: Path,
    checkpoint_sha256: str,
    batch_size: int = 1,
    pictures: bool = True,
) -> Outcome:
    """Predict images into `classes/`, `confidence/`, `overlays/` and `shares.csv` of a folder.

    Args:
        predictor: the model.
        images: names of the results by path.
        folder: where to write; images that were predicted there before are left.
        checkpoint_sha256: of the weights.
        batch_size: images at a time, of those beside each other that are of one size.
        pictures: whether to write overlays and confidence maps, too.

    Raises:
        DataError: the folder holds results of another model, or images that are called alike.
    """
    _refuse_other_model(folder, predictor, checkpoint_sha256)
    rows = _rows_before(folder, [found.name for found in predictor.classes])
    ahead = {path: name for path, name in images.items() if name not in rows}
    outcome = Outcome(before=len(images) - len(ahead))
    progress = Progress(f"predict with {predictor.name}", len(ahead), "images")
    # without the line that a kill cut off, to which the next one would be added
    write_whole(folder / DONE, _as_csv(rows.values()))
    with (folder / DONE).open("a", newline="", encoding="utf-8") as noted:
        writer = csv.writer(noted)
        for batch in _batches(ahead, batch_size, outcome, progress):
            results = predictor.predict([image for _, image in batch])
            for (name, image), (ids, confidence) in zip(batch, results, strict=True):
                _write(folder, name, image, ids, confidence, predictor.classes, pictures)
                rows[name] = _row(name, ids, confidence, len(predictor.classes))
                writer.writerow(rows[name])
                noted.flush()
                outcome.done += 1
                progress.step()
    wanted = [rows[name] for name in images.values() if name in rows]
    _write_shares(folder / SHARES, wanted, predictor.classes)
    return outcome


def _refuse_other_model(folder: Path, predictor: Predictor, checkpoint_sha256: str) -> None:
    record = PredictionRecord(
        model=predictor.name, checkpoint_sha256=checkpoint_sha256, classes=predictor.classes
    )
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / RECORD).exists():
        before = PredictionRecord.read(folder / RECORD)
        if before != record:
            raise DataError(
                f"{folder}: holds predictions of {before.model}. Name another folder, or remove "
                "this one."
            )
    record.write(folder / RECORD)


def _rows_before(folder: Path, classes: Sequence[str]) -> dict[str, list[str]]:
    """Rows of the images that were predicted before, whose files are there; by name."""
    try:
        lines = (folder / DONE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    whole = len(classes) + 4
    # a line that was cut off by a kill has too few columns
    rows = [row for row in csv.reader(io.StringIO(lines)) if len(row) == whole]
    return {row[0]: row for row in rows if (folder / "classes" / f"{row[0]}.png").is_file()}


def _batches(
    images: dict[Path, str], size: int, outcome: Outcome, progress: Progress
) -> Iterator[list[tuple[str, npt.NDArray[np.uint8]]]]:
    """Names and decoded images, of one size in each batch; broken ones are noted."""

    def readable() -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
        for path, name in images.items():
            try:
                yield name, _decoded(path)
            except UnusableError as error:
                outcome.broken.append((path, str(error)))
                progress.step()

    for _, alike in groupby(readable(), key=lambda pair: pair[1].shape):
        batch = list[tuple[str, npt.NDArray[np.uint8]]]()
        for pair in alike:
            batch.append(pair)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch


def _decoded(path: Path) -> npt.NDArray[np.uint8]:
    """An image as training reads it.

    Raises:
        UnusableError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnusableError("unreadable-image", error.strerror or str(error)) from None
    _refuse_broken(data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise UnusableError("unreadable-image", "OpenCV cannot decode it")
    return np.asarray(image, np.uint8)


def _refuse_broken(data: bytes) -> None:
    """Prove that an image is whole; one that a camera turned is read upright.

    Raises:
        UnusableError: it is not, or of another form, or too large.
    """
    refuse_foreign("foreign-image", data)
    refuse_bands(data)
    try:
        with open_image(data) as image:
            refuse_huge("huge-image", *image.size, MOST_PIXELS)
            image.draft("L", (1, 1))
            image.load()
    except UNREADABLE as error:
        raise UnusableError("unreadable-image", reason_of(error)) from None


def _write(
    folder: Path,
    name: str,
    image: npt.NDArray[np.uint8],
    ids: Ids,
    confidence: Ids,
    classes: Sequence[ClassEntry],
    pictures: bool,
) -> None:
    """Write the files of one image."""
    content = {f"classes/{name}.png": encode_png(ids)}
    if pictures:
        content[f"confidence/{name}.png"] = encode_png(confidence)
        content[f"overlays/{name}.jpg"] = _overlay(image, ids, classes)
    for file, data in content.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data)


def _overlay(image: npt.NDArray[np.uint8], ids: Ids, classes: Sequence[ClassEntry]) -> bytes:
    """The image in the colours of its classes, with their names below; a JPEG."""
    table = np.zeros((256, 3), np.uint8)
    for number, found in enumerate(classes):
        table[number] = found.color[::-1]
    mixed = cv2.addWeighted(image, 1 - OVERLAY_SHARE, table[ids], OVERLAY_SHARE, 0)
    mixed[ids == NO_CLASS] = image[ids == NO_CLASS]
    present = [number for number in np.unique(ids).tolist() if number < len(classes)]
    legend = _legend([classes[number] for number in present], image.shape[1])
    picture = np.concatenate([mixed, legend])
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


def _legend(classes: Sequence[ClassEntry], width: int) -> npt.NDArray[np.uint8]:
    """Names of classes beside their colours, in rows of a width; blue, green, red."""
    box = round(min(LARGEST_LETTERS, max(SMALLEST_LETTERS, LETTERS_SHARE * width)))
    font, gap = ImageFont.load_default(box), box // 2
    places, x, y = list[tuple[int, int, ClassEntry]](), gap, gap
    for found in classes:
        needed = box + gap + int(font.getlength(found.name)) + 2 * gap
        if x + needed > width and x > gap:
            x, y = gap, y + box + gap
        places.append((x, y, found))
        x += needed
    strip = Image.new("RGB", (width, y + box + gap), "white")
    draw = ImageDraw.Draw(strip)
    for x, y, found in places:
        draw.rectangle((x, y, x + box, y + box), fill=found.color, outline="#52606d")
        draw.text((x + box + gap, y - 2), found.name, fill="#1f2933", font=font)
    return np.asarray(strip)[:, :, ::-1]


def _row(name: str, ids: Ids, confidence: Ids, classes: int) -> list[str]:
    shares = np.bincount(ids.ravel(), minlength=256)[:classes] / ids.size
    numbers = [ids.shape[0], ids.shape[1], f"{confidence.mean() / 255:.4f}"]
    return [name, *map(str, numbers), *(f"{share:.6f}" for share in shares)]


def _write_shares(path: Path, rows: Sequence[list[str]], classes: Sequence[ClassEntry]) -> None:
    """Write `shares.csv`: a row per image with the share of each class, fractions."""
    names = [_plain(found.name) for found in classes]
    head = ["image", "height", "width", "mean_confidence", *names]
    write_whole(path, _as_csv([head, *([_plain(row[0]), *row[1:]] for row in rows)]))


def _as_csv(rows: Iterable[Sequence[str]]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode("utf-8", "backslashreplace")


def _plain(text: str) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
