"""Predict images by what a user calls a model: a run, an experiment or a published model.

Imports torch and mmseg.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from segbench.engine.devices import lease_device
from segbench.engine.prediction_files import Outcome, find_images, predict_images
from segbench.engine.predictor import Predictor, predictor_of_run, predictor_of_zoo
from segbench.errors import ConfigError
from segbench.plan.chosen_run import chosen_run
from segbench.plan.weights import weights_file
from segbench.system.allocator import keep_freed_memory
from segbench.system.fetch import get_weights
from segbench.system.files import sha256_of
from segbench.zoo import pretrained
from segbench.zoo.names import config_path

LOG = logging.getLogger(__name__)
MOST_LISTED = 20  # of broken images


def predict(
    model: str,
    named: Sequence[str],
    folder: Path,
    batch_size: int = 1,
    pictures: bool = True,
    device: str | None = None,
    threads: int | None = None,
) -> Outcome:
    """Predict images into a folder; a second call goes on where the first was stopped.

    Args:
        model: folder of a run, an experiment, whose best run is taken, or a published model.
        named: folders, images, patterns, and lists of paths.
        folder: where to write.
        batch_size: images at a time, of those beside each other that are of one size.
        pictures: whether to write overlays and confidence maps, too.
        device: such as `cpu` or `cuda:0`; by default a free GPU, or the CPU where there is none.
        threads: of the CPU.

    Raises:
        SegbenchError: what is named is not there, or does not fit together.
    """
    images = find_images(named, folder)
    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)
    if device is not None:
        return _predict_on(device, model, images, folder, batch_size, pictures)
    with lease_device() as leased:
        return _predict_on(leased, model, images, folder, batch_size, pictures)


def say_outcome(outcome: Outcome, folder: Path) -> None:
    """Log how many images were predicted, and which are broken."""
    before = f", {outcome.before} had been before" if outcome.before else ""
    LOG.info("%d images predicted%s: %s", outcome.done, before, folder)
    for path, reason in outcome.broken[:MOST_LISTED]:
        LOG.warning("left out: %s: %s", path, reason)
    if len(outcome.broken) > MOST_LISTED:
        LOG.warning("and %d more", len(outcome.broken) - MOST_LISTED)


def _predict_on(
    device: str,
    model: str,
    images: dict[Path, str],
    folder: Path,
    batch_size: int,
    pictures: bool,
) -> Outcome:
    predictor, checkpoint = _model(model, device)
    digest = sha256_of(checkpoint)
    return predict_images(predictor, images, folder, digest, batch_size, pictures)


def _model(named: str, device: str) -> tuple[Predictor, Path]:
    """The model that a user means, and the file of its weights.

    Raises:
        ConfigError: it is neither a run nor a published model.
    """
    if run := chosen_run(named):
        return predictor_of_run(run, device), run / "best.pth"
    try:
        config_path(named)
    except ConfigError as error:
        raise ConfigError(
            f"{named}: is neither a run, nor an experiment in results/, nor a published model: "
            f"{error}"
        ) from None
    url, sha256 = pretrained.published_checkpoint(named)
    classes = pretrained.classes_of_checkpoint(named)
    file = weights_file(url, sha256)
    if not file.path.is_file():
        get_weights(file.origin, file.sha256, file.path)
    return predictor_of_zoo(named, classes, file.path, device), file.path
