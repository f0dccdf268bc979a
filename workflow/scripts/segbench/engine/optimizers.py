"""Optimizers, schedulers of the learning rate, and mixed precision. Imports torch and mmengine."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, _ParamScheduler, build_optim_wrapper
from mmengine.registry import OPTIM_WRAPPERS, PARAM_SCHEDULERS
from torch import Tensor, nn

from segbench.engine.mishaps import is_out_of_memory
from segbench.engine.mixed_precision import HALVES, computing_in
from segbench.engine.operators import lay_out_channels_last

LOG = logging.getLogger(__name__)
PLAIN = ("OptimWrapper", "AmpOptimWrapper")  # MMEngine's; the zoo knows no other
FUSED = ("SGD", "Adam", "AdamW")  # those that PyTorch computes for all parameters at once


class NotFiniteError(Exception):
    """A step in mixed precision gave a loss or a gradient that is no number."""


@OPTIM_WRAPPERS.register_module()
class PrecisionOptimWrapper(OptimWrapper):  # type: ignore[misc]
    """Forward passes in float32, or in bfloat16 or float16 where that is safe.

    MMEngine's own wrapper of mixed precision refuses a CPU. `computing_in` says what stays in
    float32; PyTorch keeps the losses, and the statistics of batch normalisation, in float32 by
    itself.

    Gradients of float16 would vanish, so its loss is scaled: by half as much after a step whose
    gradients were too large, which is left out, and by twice as much after many that were not.
    """

    precision = "float32"
    mixed_from = 0  # the iteration before which all is computed in float32
    is_held_back = False  # whether the step that is under way comes before it
    in_full = False  # whether it is computed again
    is_alone = True  # no other process waits for this one in the same step
    scaler: torch.amp.GradScaler | None = None  # where there was ever one to keep

    def compute_in(self, precision: str, model: nn.Module) -> None:
        """Choose the precision, and lay the model out in memory as is fastest with it.

        Args:
            precision: `float32`, `bfloat16` or `float16`.
            model: what is optimized, already on its device; its memory format may be changed.
        """
        self.precision = precision
        if precision == "float16" and self.scaler is None:
            self.scaler = torch.amp.GradScaler(self._device)
        if precision in HALVES or _is_on_cpu(model):
            lay_out_channels_last(model)

    @property
    def is_mixed(self) -> bool:
        """Whether the step that is under way is computed in mixed precision."""
        return self.precision in HALVES and not self.is_held_back and not self.in_full

    def begin(self) -> None:
        """Note that a step begins; its gradients and its end belong to the same iteration."""
        self.is_held_back = self.precision in HALVES and self._inner_count < self.mixed_from

    @property
    def can_repeat(self) -> bool:
        """Whether a step that gave no number can be computed once more."""
        # a GPU would have to be waited for in every step, and its bfloat16 was never seen to fail;
        # the scale of float16 has it waited for anyway
        is_looked_at = self._device == "cpu" or self._is_scaled
        return self.is_mixed and self.is_alone and is_looked_at and self._accumulative_counts == 1

    @property
    def _device(self) -> str:
        """The type of the device of what is optimized."""
        parameters = self.optimizer.param_groups[0]["params"]
        return parameters[0].device.type if parameters else "cpu"

    @property
    def _is_scaled(self) -> bool:
        """Whether the loss of this step is scaled."""
        return self.is_mixed and self.precision == "float16"

    @contextlib.contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Autocast for as long as the context lasts."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(super().optim_context(model))
            if self.is_mixed:
                device = next(model.parameters()).device.type
                stack.enter_context(computing_in(self.precision, device))
            yield

    def backward(self, loss: Tensor, **settings: object) -> None:
        """Gradients of a loss.

        Raises:
            NotFiniteError: it or they are no number, and the step can be repeated.
        """
        if self.can_repeat and not bool(torch.isfinite(loss)):
            raise NotFiniteError
        if self._is_scaled and self.scaler is not None:
            # gradients that are too large are the business of the scale
            super().backward(self.scaler.scale(loss), **settings)
            return
        super().backward(loss, **settings)
        if self.can_repeat and not self._gradients_are_finite():
            self._inner_count -= 1
            raise NotFiniteError

    def step(self, **settings: object) -> None:
        """Change the parameters, unless gradients of a scaled loss are too large."""
        if not self._is_scaled or self.scaler is None:
            super().step(**settings)
            return
        self.scaler.unscale_(self.optimizer)
        if self.clip_grad_kwargs:
            self._clip_grad()
        self.scaler.step(self.optimizer, **settings)
        self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        """That of the optimizer, and the scale of the loss under MMEngine's name for it."""
        state: dict[str, Any] = super().state_dict()
        if self.scaler is not None:
            state["loss_scaler"] = self.scaler.state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        if "loss_scaler" in state_dict:
            self.scaler = torch.amp.GradScaler(self._device)
            self.scaler.load_state_dict(state_dict.pop("loss_scaler"))
        super().load_state_dict(state_dict)

    def _gradients_are_finite(self) -> bool:
        groups = self.optimizer.param_groups
        gradients = [p.grad for group in groups for p in group["params"] if p.grad is not None]
        norms = torch._foreach_norm(gradients, float("inf"))
        return bool(torch.isfinite(torch.stack(norms)).all())


def build_optimizer(model: nn.Module, config: Config) -> PrecisionOptimWrapper:
    """Build the optimizer of a rendered config, with its precision.

    Args:
        model: already on its device; convolutions are fastest with channels last on a CPU, and
            in mixed precision anywhere, so its memory format may be changed.
        config: a rendered config. Where it leaves the precision open, this is float32.
    """
    settings = config.optim_wrapper.copy()
    precision = (
        settings.get("dtype", "bfloat16") if settings.type == "AmpOptimWrapper" else "float32"
    )
    if settings.type in PLAIN:
        settings.type = "PrecisionOptimWrapper"
        for key in ("dtype", "loss_scale"):
            settings.pop(key, None)
    if settings.optimizer.type in FUSED and "foreach" not in settings.optimizer:
        settings.optimizer = {"fused": True, **settings.optimizer}
    optim: PrecisionOptimWrapper = build_optim_wrapper(model, settings)
    optim.compute_in(precision, model)
    return optim


def step_on(
    model: nn.Module, batch: Mapping[str, Sequence[object]], optim: PrecisionOptimWrapper
) -> dict[str, Tensor]:
    """One training step. Where mixed precision gives no number, it is computed in float32 instead.

    Args:
        model: in training mode; what it draws is drawn again the same in the second attempt.
        batch: `inputs` and `data_samples`.
        optim: of the model.

    Returns:
        The losses by name, `loss` their sum.
    """
    optim.begin()
    if optim.is_held_back and optim.is_alone:
        try:
            return model.train_step(batch, optim)  # type: ignore[operator, no-any-return]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        LOG.info("memory is too small for a step in float32; %s begins at once", optim.precision)
        optim.mixed_from = 0
        optim.begin()
        optim.zero_grad()
    if not optim.can_repeat:
        return model.train_step(batch, optim)  # type: ignore[operator, no-any-return]
    # batch normalisation has moved its averages by the time that the loss is known
    buffers = [buffer.clone() for buffer in model.buffers()]
    drawn = _draws()
    try:
        return model.train_step(batch, optim)  # type: ignore[operator, no-any-return]
    except NotFiniteError:
        LOG.info("a step gave no number in %s; it is computed in float32", optim.precision)
    for buffer, before in zip(model.buffers(), buffers, strict=True):
        buffer.copy_(before)
    _draw_again(drawn)
    optim.zero_grad()
    optim.in_full = True
    try:
        return model.train_step(batch, optim)  # type: ignore[operator, no-any-return]
    finally:
        optim.in_full = False


def _draws() -> list[Tensor]:
    """Where the generators of the CPU and of the device in use stand."""
    on_device = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *on_device]


def _draw_again(drawn: list[Tensor]) -> None:
    torch.set_rng_state(drawn[0])
    for state in drawn[1:]:
        torch.cuda.set_rng_state(state)


def build_schedulers(config: Config, optim: OptimWrapper) -> list[_ParamScheduler]:
    """Build the schedulers of the learning rate for an optimizer."""
    return [
        PARAM_SCHEDULERS.build(dict(scheduler), default_args={"optimizer": optim})
        for scheduler in config.param_scheduler
    ]


def _is_on_cpu(model: nn.Module) -> bool:
    return next(model.parameters()).device.type == "cpu"
