"""Optimizers, schedulers of the learning rate, and mixed precision. Imports torch and mmengine."""

import contextlib
from collections.abc import Iterator

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, _ParamScheduler, build_optim_wrapper
from mmengine.registry import OPTIM_WRAPPERS, PARAM_SCHEDULERS
from torch import nn


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):  # type: ignore[misc]
    """Forward passes in bfloat16 where that is safe; MMEngine's own wrapper refuses a CPU."""

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast for as long as the context lasts."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, torch.bfloat16):
            yield


def build_optimizer(model: nn.Module, config: Config) -> OptimWrapper:
    """Build the optimizer of a rendered config, with its precision.

    Args:
        model: already on its device; convolutions in bfloat16 are fastest with channels last, so
            its memory format may be changed.
        config: a rendered config.
    """
    settings = config.optim_wrapper.copy()
    if settings.get("type") == "AmpOptimWrapper":
        for key in ("dtype", "loss_scale"):
            settings.pop(key, None)
        settings.type = "Bfloat16OptimWrapper"
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return build_optim_wrapper(model, settings)


def build_schedulers(config: Config, optim: OptimWrapper) -> list[_ParamScheduler]:
    """Build the schedulers of the learning rate for an optimizer."""
    return [
        PARAM_SCHEDULERS.build(dict(scheduler), default_args={"optimizer": optim})
        for scheduler in config.param_scheduler
    ]
