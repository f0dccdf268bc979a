"""Optimizers, schedulers of the learning rate, and mixed precision. Imports torch and mmengine."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, _ParamScheduler, build_optim_wrapper
from mmengine.registry import OPTIM_WRAPPERS, PARAM_SCHEDULERS
from torch import Tensor, nn
from torch.nn import functional

from segbench.engine.operators import lay_out_channels_last

LOG = logging.getLogger(__name__)
PLAIN = ("OptimWrapper", "AmpOptimWrapper")  # MMEngine's; the zoo knows no other


class NotFiniteError(Exception):
    """A step in mixed precision gave a loss or a gradient that is no number."""


@OPTIM_WRAPPERS.register_module()
class PrecisionOptimWrapper(OptimWrapper):  # type: ignore[misc]
    """Forward passes in float32, or in bfloat16 where that is safe.

    MMEngine's own wrapper of mixed precision refuses a CPU. Enlarging maps stays in float32, so
    that the logits which losses see are not rounded; PyTorch keeps the losses, and the statistics
    of batch normalisation, in float32 by itself.
    """

    is_mixed = False
    is_alone = True  # no other process waits for this one in the same step

    def compute_in(self, precision: str, model: nn.Module) -> None:
        """Choose the precision, and lay the model out in memory as is fastest with it.

        Args:
            precision: `float32` or `bfloat16`.
            model: what is optimized, already on its device; its memory format may be changed.
        """
        self.is_mixed = precision == "bfloat16"
        if self.is_mixed or _is_on_cpu(model):
            lay_out_channels_last(model)

    @property
    def can_repeat(self) -> bool:
        """Whether a step that gave no number can be computed once more."""
        parameters = self.optimizer.param_groups[0]["params"]
        # a GPU would have to be waited for in every step, and its bfloat16 was never seen to fail
        on_cpu = not parameters or parameters[0].device.type == "cpu"
        return self.is_mixed and self.is_alone and on_cpu and self._accumulative_counts == 1

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast for as long as the context lasts."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(super().optim_context(model))
            if self.is_mixed:
                device = next(model.parameters()).device.type
                stack.enter_context(torch.autocast(device, torch.bfloat16))
                stack.enter_context(mock.patch.object(functional, "interpolate", _interpolate))
            yield

    def backward(self, loss: Tensor, **settings: object) -> None:
        """Gradients of a loss.

        Raises:
            NotFiniteError: it or they are no number, and the step can be repeated.
        """
        super().backward(loss, **settings)
        if self.can_repeat and not (bool(torch.isfinite(loss)) and self._gradients_are_finite()):
            self._inner_count -= 1
            raise NotFiniteError

    def _gradients_are_finite(self) -> bool:
        groups = self.optimizer.param_groups
        gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        norms = torch._foreach_norm(gradients, float("inf"))
        return bool(torch.isfinite(torch.stack(norms)).all())


_full_precision = functional.interpolate


def _interpolate(input: Tensor, *more: Any, **settings: Any) -> Tensor:
    """`torch.nn.functional.interpolate` of a map in float32."""
    if input.dtype == torch.bfloat16:
        input = input.float()
    return _full_precision(input, *more, **settings)


def build_optimizer(model: nn.Module, config: Config) -> PrecisionOptimWrapper:
    """Build the optimizer of a rendered config, with its precision.

    Args:
        model: already on its device; convolutions are fastest with channels last on a CPU, and
            in bfloat16 anywhere, so its memory format may be changed.
        config: a rendered config. Where it leaves the precision open, this is float32.
    """
    settings = config.optim_wrapper.copy()
    is_mixed = settings.type == "AmpOptimWrapper"
    if settings.type in PLAIN:
        settings.type = "PrecisionOptimWrapper"
        for key in ("dtype", "loss_scale"):
            settings.pop(key, None)
    optim: PrecisionOptimWrapper = build_optim_wrapper(model, settings)
    optim.compute_in("bfloat16" if is_mixed else "float32", model)
    return optim


def step_on(
    model: nn.Module, batch: Mapping[str, Sequence[object]], optim: PrecisionOptimWrapper
) -> dict[str, Tensor]:
    """One training step. Where bfloat16 gives no number, it is computed in float32 instead.

    Args:
        model: in training mode; what it draws is drawn again the same in the second attempt.
        batch: `inputs` and `data_samples`.
        optim: of the model.

    Returns:
        The losses by name, `loss` their sum.
    """
    if not optim.can_repeat:
        return model.train_step(batch, optim)  # type: ignore[operator, no-any-return]
    # batch normalisation has moved its averages by the time that the loss is known
    buffers = [buffer.clone() for buffer in model.buffers()]
    drawn = torch.get_rng_state()
    try:
        return model.train_step(batch, optim)  # type: ignore[operator, no-any-return]
    except NotFiniteError:
        LOG.info("a step gave no number in bfloat16; it is computed in float32")
    for buffer, before in zip(model.buffers(), buffers, strict=True):
        buffer.copy_(before)
    torch.set_rng_state(drawn)
    optim.zero_grad()
    optim.is_mixed = False
    try:
        return model.train_step(batch, optim)  # type: ignore[operator, no-any-return]
    finally:
        optim.is_mixed = True


def build_schedulers(config: Config, optim: OptimWrapper) -> list[_ParamScheduler]:
    """Build the schedulers of the learning rate for an optimizer."""
    return [
        PARAM_SCHEDULERS.build(dict(scheduler), default_args={"optimizer": optim})
        for scheduler in config.param_scheduler
    ]


def _is_on_cpu(model: nn.Module) -> bool:
    return next(model.parameters()).device.type == "cpu"
