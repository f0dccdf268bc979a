"""Estimate the memory a training takes, before it starts, without taking it.

The forward pass runs on torch's meta device, where tensors have shapes but no content, at the true
batch and crop; what it would keep for the backward pass is added up. Where a model looks at values
as it runs, as mask heads do, the same is added up in a real step on a few images. Imports torch.
"""

import contextlib
import copy
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from mmengine.config import Config
from torch import Tensor, nn

# tensors of a parameter's size that an optimizer keeps
STATES = {"SGD": 1, "Adam": 2, "AdamW": 2}
BYTES = 4
# full-size maps of every class that a head's loss holds at once: scores, log-softmax, gradient
MAPS_PER_HEAD = 3
# what CUDA and cuDNN take for themselves, or Python with torch on a CPU
OVERHEAD = 1 << 30
# of what autocast leaves in 16 bits and in float32
MIXED_SHARE = 0.6
WARN_SHARE, STOP_SHARE = 0.9, 1.5


@dataclass(frozen=True, slots=True)
class Estimate:
    """Memory of a training in bytes.

    Attributes:
        weights: parameters, gradients and what the optimizer keeps.
        activations: what a batch keeps for its backward pass.
    """

    weights: int
    activations: int

    @property
    def total(self) -> int:
        """All of it, with what the libraries take for themselves."""
        return self.weights + self.activations + OVERHEAD


def estimate(model: nn.Module, config: Config, crop: tuple[int, int]) -> Estimate | None:
    """Estimate the memory of a training.

    Args:
        model: built from the config.
        config: rendered; its batch, classes and optimizer count.
        crop: height and width in pixels.

    Returns:
        None where the model cannot run without content, because its layers look at values.
    """
    batch = int(config.train_dataloader.batch_size)
    height, width = crop
    try:
        kept = _kept_bytes(model, batch, height, width)
    except Exception:  # a model's code is foreign
        return None
    heads = sum(hasattr(module, "conv_seg") for module in model.modules())
    classes = len(config.train_dataloader.dataset.metainfo.classes)
    maps = MAPS_PER_HEAD * max(1, heads) * classes * batch * height * width * BYTES
    if config.optim_wrapper.get("type") == "AmpOptimWrapper":
        kept = round(kept * MIXED_SHARE)
    return Estimate(_weight_bytes(model, config), kept + maps)


def estimate_of_step(model: nn.Module, config: Config, kept: int, images: int) -> Estimate:
    """Estimate the memory of a training from a real step on a part of its batch.

    Args:
        model: built from the config.
        config: rendered; its batch and optimizer count.
        kept: bytes that the step kept for its backward pass, from `counting_kept`.
        images: of the true crop that the step was taken on.
    """
    batch = int(config.train_dataloader.batch_size)
    return Estimate(_weight_bytes(model, config), round(kept * batch / images))


def _weight_bytes(model: nn.Module, config: Config) -> int:
    """Bytes of parameters, gradients and what the optimizer keeps."""
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    states = STATES.get(config.optim_wrapper.optimizer.type, 2)
    everything = sum(p.numel() for p in model.parameters())
    return BYTES * (everything + trained * (1 + states))


def _kept_bytes(model: nn.Module, batch: int, height: int, width: int) -> int:
    """Bytes that one forward pass keeps for the backward pass, beside the parameters."""
    shadow = copy.deepcopy(model).to("meta").train()
    images = torch.empty(batch, 3, height, width, device="meta")
    with counting_kept(shadow) as kept_bytes:
        shadow(images, None, mode="tensor")
    return kept_bytes()


@contextlib.contextmanager
def counting_kept(model: nn.Module) -> Iterator[Callable[[], int]]:
    """Count the bytes that passes keep for the backward pass, beside the model's parameters.

    Yields:
        What gives the count once the passes are done.
    """
    own = {id(p) for p in model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        if id(tensor) not in own and not isinstance(tensor, nn.Parameter):
            # views of one tensor share its storage; holding it keeps its number its own
            kept.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    def total() -> int:
        parameters = {p.untyped_storage()._cdata for p in model.parameters()}
        return sum(t.untyped_storage().nbytes() for k, t in kept.items() if k not in parameters)

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield total


def available() -> tuple[int, str]:
    """Bytes of memory of the device that trainings on this machine use, and its name.

    The GPU's own, or the machine's where there is no GPU.
    """
    if torch.cuda.is_available():
        # of the smallest, because any may be leased
        found = (torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count()))
        return min((int(device.total_memory), str(device.name)) for device in found)
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "this machine's memory"


def verdict(found: Estimate, device_bytes: int, device: str) -> tuple[str, str]:
    """Judge an estimate.

    An estimate may be wrong by a third, and the machine that checks need not be the one that
    trains, so only what is far beyond the device stops a run.

    Args:
        found: the estimate.
        device_bytes: memory of the device.
        device: what to call it.

    Returns:
        `fine`, `tight` or `beyond`, and a sentence, with the remedy where one is needed.
    """
    share = found.total / device_bytes
    sentence = (
        f"training takes about {_gib(found.total)} of {_gib(device_bytes)} ({device}): "
        f"{_gib(found.weights)} for weights and optimizer, "
        f"{_gib(found.activations)} for a batch"
    )
    if share <= WARN_SHARE:
        return "fine", sentence
    remedy = "Lower `batch_size` or `crop_size` for this model, or set `precision: bfloat16`."
    return ("beyond" if share > STOP_SHARE else "tight"), f"{sentence}. {remedy}"


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB"
