"""What a run leaves beside its weights and counts: `train.json`, `metrics.json`, `history.csv`;
and beside its runs, what a model costs: `cost.json`.

Training and evaluation write them, the comparison reads them; neither knows the other.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from segbench.errors import DataError
from segbench.system.files import sha256_of, write_whole
from segbench.system.records import Record

# in tables and paths, what stands in the place of an initialization for another tool's predictions
EXTERNAL = "external"
CURVES = ("iteration", "loss", "learning_rate", "val_miou", "val_aacc", "val_macc")


class Session(BaseModel):
    """One of the processes that trained a run, one after the other.

    Attributes:
        host, device: where.
        job: of SLURM, empty elsewhere.
        began, until: when it began, and last saved its state; UTC.
        from_iteration, to_iteration: what it did. Where the next one begins before
            `to_iteration`, a damaged state was left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str
    device: str
    job: str
    began: str
    from_iteration: int
    until: str
    to_iteration: int


class TrainRecord(Record):
    """`train.json`: where a run came from, what it did and what it cost.

    Attributes:
        run: `model/initialization/seed0`.
        seed, initialization, dataset: what was trained, from what, and on which data.
        classes: names of the classes that its weights predict, by id.
        source_classes: classes of the checkpoint it started from; None where there is none.
        iterations: done; 0 where nothing was trained.
        planned_iterations: without early stopping.
        best_iteration, best_val_miou: of the checkpoint that was kept, a fraction.
        crop_size: height and width in pixels.
        batch_size: images per iteration.
        learning_rate, optimizer: of the recipe; None where nothing was trained.
        precision: `float32`, `bfloat16` or `float16`.
        compiled: whether the network was compiled in training.
        ema: decay of the moving average of the weights, if there is one.
        growing_crop: share of the crop's sides at which crops began; None if all were whole.
        adaptations: what was changed of the published recipe, in sentences.
        device: the name of what it ran on.
        train_minutes: of work, validations included.
        validation_minutes: of these, spent on validations; None where that is not known.
        peak_memory_mb: of the device; None where nothing was trained.
        parameters: of the model.
        versions: of the packages that can change a result.
        digest: of everything that shapes the training; None where nothing was trained.
        weights: what was loaded at the start, in a sentence.
        driver: versions of the GPU's driver, CUDA and cuDNN; None on a CPU.
        dataset_sha256, config_sha256, weights_sha256: of what a model can see of the data, of what
            counts of the rendered config, and of the file with the initial weights, if any.
        checkpoint_sha256: of `best.pth`.
        sessions: the processes that trained it; more than one where it was interrupted.
    """

    run: str
    seed: int
    initialization: str
    dataset: str
    classes: tuple[str, ...]
    # what follows is not known of predictions that were made elsewhere
    source_classes: tuple[str, ...] | None = None
    iterations: int = 0
    planned_iterations: int = 0
    best_iteration: int = 0
    best_val_miou: float | None = None
    crop_size: tuple[int, int] | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    optimizer: str | None = None
    precision: str = ""
    ema: float | None = None
    adaptations: tuple[str, ...] = ()
    device: str = ""
    train_minutes: float = 0.0
    peak_memory_mb: float | None = None
    parameters: int | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    digest: str | None = None
    weights: str = ""
    # records of before do not have these
    driver: str | None = None
    dataset_sha256: str | None = None
    config_sha256: str | None = None
    weights_sha256: str | None = None
    checkpoint_sha256: str | None = None
    sessions: tuple[Session, ...] = ()
    validation_minutes: float | None = None
    compiled: bool = False
    growing_crop: float | None = None

    def crop_in_words(self, unit: str = "") -> str:
        """Height and width of the crop in pixels, a unit, and from what it grew."""
        size = "x".join(map(str, self.crop_size or ()))
        grown = f" growing from {self.growing_crop:g} of its sides" if self.growing_crop else ""
        return f"{size}{unit}{grown}"

    @property
    def is_trained(self) -> bool:
        """Whether anything was trained, rather than a checkpoint taken as it is."""
        return self.iterations > 0

    @property
    def validation_share(self) -> float | None:
        """The share of its time that validations took, if that is known."""
        if self.validation_minutes is None or not self.train_minutes:
            return None
        return min(1.0, self.validation_minutes / self.train_minutes)


def confirmed_digest(weights: Path) -> str:
    """SHA-256 of the weights of a run, which the `train.json` beside them confirms.

    Raises:
        DataError: they are not what the training wrote.
    """
    found = sha256_of(weights)
    record = weights.with_name("train.json")
    noted = TrainRecord.read(record).checkpoint_sha256 if record.is_file() else None
    if noted not in (None, found):
        raise DataError(
            f"{weights}: is not the file that its training wrote: its SHA-256 is {found[:16]}..., "
            f"and train.json has {noted[:16]}... {remake(weights)}"
        )
    return found


def remake(path: Path) -> str:
    """How a damaged file of a run is made again, in a sentence."""
    return (
        f"Remove it, ask for it by its name (`snakemake --cores 2 {path}`, with the options of "
        "your experiment), and then run the workflow again."
    )


class MetricsRecord(Record):
    """`metrics.json`: scores of a run over all images, fractions.

    Attributes:
        miou, aacc, macc: mean IoU, pixel accuracy and mean accuracy.
        miou_mapped: mean IoU over the classes that the source's class map reaches.
        unreachable: the other classes.
        iou: by class; None for a class without a pixel in the truth.
        classes_present: how many have one.
        split: that was scored, `val` or `test`.
        images: how many of them there are.
        protocol: how, in words.
        parameters: of the model; None, like all that follows, for predictions that were made
            elsewhere.
        checkpoint_bytes: size of `best.pth`.
        checkpoint_sha256, confusion_sha256, conditions_sha256: of the weights that were evaluated,
            of `confusion.npz` and of `conditions.npz`, where there is one.
    """

    FORM = 2
    form: int = FORM
    miou: float
    aacc: float
    macc: float
    miou_mapped: float | None
    unreachable: tuple[str, ...]
    iou: dict[str, float | None]
    classes_present: int
    images: int
    protocol: str
    parameters: int | None = None
    checkpoint_bytes: int | None = None
    # records of before do not have these
    checkpoint_sha256: str | None = None
    confusion_sha256: str | None = None
    conditions_sha256: str | None = None
    split: Literal["val", "test"] = "val"

    @property
    def scored_images(self) -> str:
        """What the images that were scored are called."""
        return "test images" if self.split == "test" else "validation images"


class CostRecord(Record):
    """`cost.json`: what a prediction of a model costs.

    Attributes:
        parameters: of the model.
        flops: floating-point operations of the prediction of one image, a multiply-add as two; None
            where they cannot be counted.
        size: height and width of the image in pixels.
        latency_ms, latency_p95_ms: median and 95th percentile of the time from a decoded image to
            its class ids.
        passes: how many were timed.
        memory_mb: the most that was in use meanwhile, of the GPU, or of the process on a CPU.
        batch_size: that gives the most images per second, of 1, 2, 4, ..., 64 and what fits.
        images_per_second: in such batches.
        batch_memory_mb: as `memory_mb`, with such a batch.
        device: what it ran on.
    """

    parameters: int
    flops: int | None
    size: tuple[int, int]
    latency_ms: float
    latency_p95_ms: float
    passes: int
    memory_mb: float
    batch_size: int
    images_per_second: float
    batch_memory_mb: float
    device: str


def write_history(path: Path, history: Sequence[dict[str, float]]) -> None:
    """Write `history.csv`: a row for every loss that was noted, with scores where validated."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, CURVES)
    writer.writeheader()
    writer.writerows(history)
    write_whole(path, stream.getvalue().encode())
