"""Measure what a prediction of a model costs: operations, time and memory. Imports torch and mmseg.

The weights do not matter for that, so only the config of a run is needed.
"""

import copy
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from segbench.engine.build import build_model, load_config, ready_on, scored_images
from segbench.engine.devices import device_in_words, lease_device, peak_bytes, reset_peak
from segbench.engine.memory import available
from segbench.engine.mishaps import is_out_of_memory
from segbench.recipe.section import RunSection
from segbench.system.allocator import keep_freed_memory
from segbench.system.run_records import CostRecord

LOG = logging.getLogger(__name__)
WARM_UP, FEWEST, PASSES = 3, 5, 50
SECONDS = 4.0  # of the passes of one image; slower models get fewer than `PASSES`
BATCHES = (2, 4, 8, 16, 32, 64)
# of the passes of each of these; none may take longer, and as the network is warm, a few will do
BATCH_SECONDS, BATCH_WARM_UP, BATCH_FEWEST = 1.5, 1, 3
# a larger batch is tried for as long as it gives so many times the images per second
WORTHWHILE = 1.03
Batch = dict[str, object]


@dataclass(frozen=True, slots=True)
class Timing:
    """Passes of a batch.

    Attributes:
        batch: images in it.
        seconds: of each pass, from decoded images to class ids.
        peak: bytes of memory that were in use at most.
    """

    batch: int
    seconds: list[float] = field(default_factory=list)
    peak: int = 0

    @property
    def images_per_second(self) -> float:
        """Images per second, by the median pass."""
        return self.batch / float(np.median(self.seconds))


def measure_cost(config_path: Path, path: Path, threads: int) -> None:
    """Measure a model on the first image that models are compared on, and on batches of it.

    Args:
        config_path: rendered config of a run.
        path: of `cost.json`.
        threads: CPU threads of the network.
    """
    config = load_config(config_path)
    name = RunSection.of(config).run.split("/")[0]
    keep_freed_memory()
    torch.set_num_threads(threads)
    image = scored_images(config)[0]
    model, _ = build_model(config, load=False)
    with lease_device() as device, torch.no_grad():
        ready_on(device, model)
        reset_peak(device)
        # a test of what comes of the figures has no use for good ones
        share = float(os.environ.get("SEGBENCH_COST_SHARE", "1"))
        single = timed(model, image, 1, device, share * SECONDS)
        best = best_batch(model, image, single, device, share * BATCH_SECONDS)
        _, height, width = image["inputs"].shape
        p50, p95 = 1000 * np.quantile(single.seconds, [0.5, 0.95])
        record = CostRecord(
            parameters=sum(p.numel() for p in model.parameters()),
            flops=count_flops(model, batch_of(image, 1)),
            size=(height, width),
            latency_ms=float(p50),
            latency_p95_ms=float(p95),
            passes=len(single.seconds),
            memory_mb=single.peak / 2**20,
            batch_size=best.batch,
            images_per_second=best.images_per_second,
            batch_memory_mb=best.peak / 2**20,
            device=device_in_words(device),
        )
    record.write(path)
    LOG.info(
        "%s: %.1f ms per image (95 %% within %.1f), %.1f images/s in batches of %d",
        name, p50, p95, best.images_per_second, best.batch,
    )  # fmt: skip


def batch_of(image: dict[str, object], count: int) -> Batch:
    """A batch that holds an image so many times.

    Args:
        image: `inputs`, uint8 [3, height, width], and `data_samples`, as the test pipeline gives.
        count: how many times.
    """
    samples = [copy.deepcopy(image["data_samples"]) for _ in range(count)]
    return {"inputs": [image["inputs"]] * count, "data_samples": samples}


def timed(
    model: nn.Module,
    image: dict[str, object],
    count: int,
    device: str,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Time passes of a batch, after some that do not count.

    Args:
        model: on its device.
        image: as for `batch_of`.
        count: images of the batch.
        device: where the model is.
        seconds: after which no further pass begins, once there are enough.
        clock: seconds that have passed.

    Raises:
        torch.OutOfMemoryError: it does not fit into the memory of the device.
    """
    batch = batch_of(image, count)
    warm_up, fewest = (WARM_UP, FEWEST) if count == 1 else (BATCH_WARM_UP, BATCH_FEWEST)
    for _ in range(warm_up):
        predict(model, batch)
    found = list[float]()
    end = clock() + seconds
    while len(found) < fewest or (len(found) < PASSES and clock() < end):
        began = clock()
        predict(model, batch)
        found.append(clock() - began)
    return Timing(count, found, peak_bytes(device))


def predict(model: nn.Module, batch: Batch) -> None:
    """Predict the class ids of a batch; they are in the computer's memory when it returns."""
    torch.manual_seed(0)  # some heads (SegNeXt's) draw random numbers even here
    for sample in model.test_step(batch):  # type: ignore[operator]
        sample.pred_sem_seg.data.cpu()


def best_batch(
    model: nn.Module,
    image: dict[str, object],
    single: Timing,
    device: str,
    seconds: float = BATCH_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """The batch that gives the most images per second, of those that fit.

    Args:
        model: on its device.
        image: as for `batch_of`.
        single: the timing of one image.
        device: where the model is.
        seconds: that a pass may take at most, and after which no further one begins.
        clock: seconds that have passed.
    """
    best, (memory, _) = single, available()
    for count in BATCHES:
        # too slow to be worth while, or a machine that would begin to swap
        if count / best.images_per_second > seconds or 2 * best.peak > memory:
            break
        try:
            found = timed(model, image, count, device, seconds, clock)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            LOG.info("a batch of %d images does not fit into the memory of the device", count)
            break
        if found.images_per_second < WORTHWHILE * best.images_per_second:
            break
        best = found
    return best


def count_flops(model: nn.Module, batch: Batch) -> int | None:
    """Floating-point operations of a prediction, a multiply-add as two.

    Convolutions, products of matrices and attention are counted, as PyTorch's counter does, in
    whatever passes the prediction takes; sliding windows are several.

    Returns:
        The count, or None for a model that torch cannot count.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        # the fused kernels of attention are opaque to the counter
        torch.backends.mha.set_fastpath_enabled(False)
        with counter, sdpa_kernel(SDPBackend.MATH):
            predict(model, batch)
    except Exception as error:  # a model's forward is foreign code, and this is only a figure
        LOG.warning("the operations of this model cannot be counted: %s", error)
        return None
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops())
