"""Which precision a training computes in, where its config leaves that open.

Mixed precision is taken where the device computes in it and a short trial is clearly faster.
Imports torch and mmengine.
"""

import copy
import hashlib
import json
import logging
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from torch import nn

from segbench.engine.devices import device_name
from segbench.engine.optimizers import PrecisionOptimWrapper, build_optimizer
from segbench.errors import DataError
from segbench.recipe.section import RunSection
from segbench.system.files import alone
from segbench.system.provenance import package_versions
from segbench.system.records import Record

LOG = logging.getLogger(__name__)
# mixed precision must be this much faster: less is within the noise of a trial, and not worth a
# difference
CLEARLY_FASTER = 1.15
WITH_TENSOR_CORES = (7, 0)  # the compute capability of NVIDIA's Volta
WARM_UP, TIMED = 1, 2  # steps of each
# iterations of a training from random weights before mixed precision begins. The first gradients of
# a deep network are large and change with the last bit of its maps: in bfloat16 they point
# elsewhere, and PIDNet ended lower with each seed (docs/performance.md)
IN_FLOAT32 = 20
Batch = Mapping[str, Sequence[object]]


class Trial(Record):
    """How fast a training step is in each precision.

    Attributes:
        made_for: device, packages, model and batch, for which alone it holds.
        seconds: of a step, by precision; one that the model does not work in is left out.
        precision: the one that is used.
    """

    made_for: dict[str, str]
    seconds: dict[str, float]
    precision: str


def mixed_precision_of(device: str) -> str | None:
    """The mixed precision that a device has instructions for; imitating them is slow.

    Returns:
        `bfloat16`; `float16` for a GPU that has tensor cores for it alone; None for neither.
    """
    if device == "cpu":
        return "bfloat16" if _cpu_computes_in_bfloat16() else None
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bfloat16"
    return "float16" if torch.cuda.get_device_capability(device) >= WITH_TENSOR_CORES else None


def _cpu_computes_in_bfloat16() -> bool:
    if platform.machine().lower() in ("aarch64", "arm64"):
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def precision_of(
    config: Config,
    model: nn.Module,
    batch: Callable[[], Batch],
    device: str,
    folder: Path,
    may_try: bool = True,
) -> str:
    """The precision that a training starts in.

    Args:
        config: rendered config of the run.
        model: on its device; it is not changed.
        batch: reads a batch of the run, if one is needed.
        device: where it is trained.
        folder: keeps the trials, so that other runs of the model need none.
        may_try: whether a trial is possible; without one, mixed precision is taken where there is
            any.

    Returns:
        `float32`, `bfloat16` or `float16`.
    """
    section = RunSection.of(config)
    if section.precision != "auto":
        return section.precision
    mixed = mixed_precision_of(device)
    if mixed is None:
        LOG.info("%s: float32, because this device does not compute in less", section.run)
        return "float32"
    if not may_try:
        return mixed
    return _remembered(config, section, model, batch, device, folder, mixed).precision


def mixed_from(section: RunSection) -> int:
    """The iteration at which mixed precision may begin in a training."""
    return IN_FLOAT32 if section.initialization == "scratch" else 0


def _remembered(
    config: Config,
    section: RunSection,
    model: nn.Module,
    batch: Callable[[], Batch],
    device: str,
    folder: Path,
    mixed: str,
) -> Trial:
    made_for = {
        "device": _hardware(device),
        "model": hashlib.sha256(repr(config.model).encode()).hexdigest(),
        "batch": f"{section.batch_size}x{section.crop_size[0]}x{section.crop_size[1]}",
        **package_versions(),
    }
    path = folder / f"{hashlib.sha256(json.dumps(made_for).encode()).hexdigest()[:16]}.json"
    folder.mkdir(parents=True, exist_ok=True)
    with alone(path.with_suffix(".lock")):
        try:
            return Trial.read(path)
        except DataError:  # none yet, or a damaged one
            trial = _try(config, model, batch(), made_for, mixed)
            trial.write(path)
    times = ", ".join(f"{name} {1000 * took:.0f} ms" for name, took in trial.seconds.items())
    LOG.info("%s: %s; a step takes %s", section.run, trial.precision, times)
    return trial


def _try(
    config: Config, model: nn.Module, batch: Batch, made_for: dict[str, str], mixed: str
) -> Trial:
    """Time steps of copies of a model, in turns."""
    state = torch.get_rng_state()
    copies = dict[str, tuple[nn.Module, PrecisionOptimWrapper]]()
    for name in ("float32", mixed):
        tried = copy.deepcopy(model).train()
        optim = build_optimizer(tried, config)
        optim.compute_in(name, tried)
        copies[name] = tried, optim
    found: dict[str, list[float]] = {name: [] for name in copies}
    for _ in range(WARM_UP + TIMED):
        for name, (tried, optim) in copies.items():
            found[name].append(_seconds(tried, batch, optim))
    torch.set_rng_state(state)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    seconds = {name: min(times[WARM_UP:]) for name, times in found.items()}
    seconds = {name: took for name, took in seconds.items() if math.isfinite(took)}
    return Trial(made_for=made_for, seconds=seconds, precision=faster(seconds, mixed))


def faster(seconds: Mapping[str, float], mixed: str) -> str:
    """The precision to use, from the duration of a step in each that works.

    Args:
        seconds: by precision.
        mixed: the one that is not `float32`.
    """
    if mixed not in seconds:
        return "float32"
    gain = seconds.get("float32", math.inf) / seconds[mixed]
    return mixed if gain >= CLEARLY_FASTER else "float32"


def _seconds(model: nn.Module, batch: Batch, optim: PrecisionOptimWrapper) -> float:
    began = time.perf_counter()
    try:
        model.train_step(batch, optim)  # type: ignore[operator]
    except Exception:  # whatever the reason: what cannot be computed is not used
        return math.inf
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - began


def _hardware(device: str) -> str:
    """The device, on a CPU with its model and the number of threads."""
    if device != "cpu":
        return device_name(device)
    return f"{processor_name()}, {torch.get_num_threads()} threads"


def processor_name() -> str:
    """Of this machine, as its system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "CPU")
