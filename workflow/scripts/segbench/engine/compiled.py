"""The network of a training as code that PyTorch compiles for its shapes. Imports torch.

Only a training is compiled: it takes thousands of steps of one shape. Validation and evaluation
see images of any size, and their scores stay those of the network as it is.
"""

import functools
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import torch
from torch import nn
from torch._dynamo.exc import TorchDynamoException
from torch._inductor import config as inductor

from segbench.errors import ModelError

LOG = logging.getLogger(__name__)
# where PyTorch keeps what it compiled; its own default is a folder in /tmp that anyone could make
CACHE = "TORCHINDUCTOR_CACHE_DIR"
REMEDY = "Set `training: {compile: false}`, for this model or for all."
Forward = Callable[..., object]


def compile_network(model: nn.Module, folder: Path, threads: int) -> None:
    """Have the backbone, neck and heads of a model run as compiled code in training.

    They are compiled by their first step, which takes minutes. Names and weights stay as they are.
    Random draws stay those of the plain network.

    Args:
        model: a segmentor of MMSegmentation, which is trained from here on and never copied.
        folder: keeps what was compiled, for later trainings of the same network.
        threads: processes that compile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault(CACHE, str(folder.resolve()))
    inductor.compile_threads = threads
    inductor.fallback_random = True
    for part in _parts(model):
        part.forward = _compiled_in_training(part)
    LOG.info("the network is compiled by its first step, which takes minutes")


def refuse_without_compiler(run: str) -> None:
    """Compile a sum, as a proof that compiling is possible here.

    Args:
        run: its name, for the message.

    Raises:
        ModelError: it is not possible; the message has the reason and the remedy.
    """
    # in an empty cache: what was compiled before proves nothing
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {CACHE: folder}):
        try:
            torch.compile(torch.add)(torch.ones(8), 1)
        except Exception as error:  # whatever the compiler and its tools raise
            raise _not_compiled(run, error) from None


def refuse_uncompiled(run: str, error: BaseException) -> None:
    """Say in words of the user that a network could not be compiled.

    Args:
        run: its name, for the message.
        error: of a training step.

    Raises:
        ModelError: that is what the error means.
    """
    if isinstance(error, TorchDynamoException):
        raise _not_compiled(run, error) from None


def _not_compiled(run: str, error: BaseException) -> ModelError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0].rstrip(".") if lines else type(error).__name__
    return ModelError(
        f"{run}: `compile: true`: PyTorch cannot compile here: {reason}. It needs a C++ compiler "
        f"such as g++ (Debian and Ubuntu: apt install g++), and Triton for a GPU. {REMEDY}"
    )


def _parts(model: nn.Module) -> Iterator[nn.Module]:
    """The parts of a segmentor whose forward passes are networks without samples or losses."""
    for name in ("backbone", "neck", "decode_head", "auxiliary_head"):
        part = getattr(model, name, None)
        if isinstance(part, nn.ModuleList):
            yield from part
        elif isinstance(part, nn.Module):
            yield part


def _compiled_in_training(part: nn.Module) -> Forward:
    plain: Forward = part.forward
    compiled: Forward = torch.compile(plain, dynamic=False)

    @functools.wraps(plain)
    def forward(*inputs: object, **settings: object) -> object:
        return (compiled if part.training else plain)(*inputs, **settings)

    return forward
