"""What a run leaves beside its weights and counts: `train.json` and `metrics.json`.

Training and evaluation write them, the comparison reads them; neither knows the other.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from segbench.system.records import Record


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
        precision: `float32` or `bfloat16`.
        ema: decay of the moving average of the weights, if there is one.
        adaptations: what was changed of the published recipe, in sentences.
        device: the name of what it ran on.
        train_minutes: of work, validations included.
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
    source_classes: tuple[str, ...] | None
    iterations: int
    planned_iterations: int
    best_iteration: int
    best_val_miou: float | None
    crop_size: tuple[int, int]
    batch_size: int
    learning_rate: float | None
    optimizer: str | None
    precision: str
    ema: float | None
    adaptations: tuple[str, ...]
    device: str
    train_minutes: float
    peak_memory_mb: float | None
    parameters: int
    versions: dict[str, str]
    digest: str | None
    weights: str
    # records of before do not have these
    driver: str | None = None
    dataset_sha256: str | None = None
    config_sha256: str | None = None
    weights_sha256: str | None = None
    checkpoint_sha256: str | None = None
    sessions: tuple[Session, ...] = ()

    @property
    def is_trained(self) -> bool:
        """Whether anything was trained, rather than a checkpoint taken as it is."""
        return self.iterations > 0


class MetricsRecord(Record):
    """`metrics.json`: scores of a run over all images, fractions, and what a prediction costs.

    Attributes:
        miou, aacc, macc: mean IoU, pixel accuracy and mean accuracy.
        miou_mapped: mean IoU over the classes that the source's class map reaches.
        unreachable: the other classes.
        iou: by class; None for a class without a pixel in the truth.
        classes_present: how many have one.
        split: that was scored, `val` or `test`.
        images: how many of them there are.
        protocol: how, in words.
        parameters: of the model.
        flops: of one forward pass; None where they cannot be counted.
        flops_at: height and width of that pass.
        latency_ms, latency_p90_ms: 10th and 90th percentile of the forward passes.
        device: what it ran on.
        checkpoint_sha256, confusion_sha256: of the weights that were evaluated, and of
            `confusion.npz`.
    """

    miou: float
    aacc: float
    macc: float
    miou_mapped: float | None
    unreachable: tuple[str, ...]
    iou: dict[str, float | None]
    classes_present: int
    images: int
    protocol: str
    parameters: int
    flops: int | None
    flops_at: tuple[int, int]
    latency_ms: float
    latency_p90_ms: float
    device: str
    # records of before do not have these
    checkpoint_sha256: str | None = None
    confusion_sha256: str | None = None
    split: Literal["val", "test"] = "val"

    @property
    def scored_images(self) -> str:
        """What the images that were scored are called."""
        return "test images" if self.split == "test" else "validation images"
