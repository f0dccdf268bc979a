"""Running statistics of batch normalisation that are right from the first iterations on.

They start from a mean of 0 and a variance of 1, and a momentum m forgets its start only after some
multiples of 1 / m iterations. Fast-SCNN's is 0.01: after 320 iterations 4 % of the start are left,
many times the true variance of some of its layers. Such a network has learnt, and every validation
says that it has not. Imports torch.
"""

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

# Of n batches before, about the last n / 10 count. Were all to count alike, statistics would be
# those of weights that a network which learns quickly has long left behind.
RECENT = 10


def forget_the_start(model: nn.Module) -> None:
    """Have running statistics be averages of recent batches while a momentum remembers the start.

    That is polynomial-decay averaging (Shamir and Zhang, ICML 2013, section 3, with eta = 9), for
    the first 10 / m batches of a layer with the momentum m. From there on the momentum is that of
    the recipe. What a training step computes is not touched, and neither are statistics that come
    with weights and the number of their batches.

    Args:
        model: in training; its layers are given hooks that remove themselves.
    """
    for norm in model.modules():
        if isinstance(norm, _BatchNorm) and norm.num_batches_tracked is not None and norm.momentum:
            _Forgetting(norm, norm.momentum)


class _Forgetting:
    """Sets the momentum of a layer before each of its first batches.

    How many there were is read from the layer, which a saved state restores.
    """

    def __init__(self, norm: _BatchNorm, momentum: float) -> None:
        self._momentum = momentum
        self._hook = norm.register_forward_pre_hook(self)

    def __call__(self, norm: _BatchNorm, inputs: Any) -> None:
        if not norm.training:
            return
        share = RECENT / (int(norm.num_batches_tracked) + RECENT)  # type: ignore[arg-type]
        norm.momentum = max(share, self._momentum)
        if share <= self._momentum:
            self._hook.remove()
