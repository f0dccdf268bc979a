"""MMCV's compiled operators, where they are not installed: plain PyTorch in their place.

MMCV without its compiled module cannot even import `mmcv.ops`, though most of what the zoo takes
from there (criss-cross attention, point sampling, deformable attention) has a path in plain
PyTorch. So a module of its name stands in: what has such a path takes it, the mask of PSANet is
written here, and any other operator says its name when it is called. Imports torch.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from segbench.errors import ModelError

NAME = "mmcv._ext"
REFUSAL = (
    "needs the operator '{name}' of MMCV, which is not compiled here and has no path in plain "
    "PyTorch. Where a C++ compiler (and for GPUs the CUDA toolkit) is installed: pip install ninja "
    "setuptools && pip install --no-cache-dir --no-deps --no-build-isolation --force-reinstall "
    "onedl-mmcv=={version} (takes about 15 minutes). Or take this model out of `models`."
)
DEFINED: list[torch.library.Library] = []  # of torchvision; they end with these objects
# parts that cannot be laid out with channels last: the backward pass of the first is a segmentation
# fault in PyTorch 2.13 on a CPU, the second takes maps for one stretch of memory
KEEP_CHANNELS_FIRST = ("PoolFormer", "DCM")
COLLECT = 0  # the kind of a mask; the other one distributes


def stand_in_for_compiled_operators() -> bool:
    """Make `mmcv.ops` importable where its compiled module is not installed.

    Returns:
        Whether there was need for it; where operators are compiled, they are used.
    """
    if NAME in sys.modules or importlib.util.find_spec(NAME) is not None:
        return isinstance(sys.modules.get(NAME), _StandIn)
    sys.modules[NAME] = _StandIn(NAME)
    # on a GPU this one asks for the compiled operator unless there is no GPU
    attention = importlib.import_module("mmcv.ops.multi_scale_deform_attn")
    attention.IS_CUDA_AVAILABLE = False  # type: ignore[attr-defined]
    return True


def stand_in_for_torchvision() -> bool:
    """Make torchvision importable where its compiled operators do not fit this PyTorch.

    PyPI's torchvision is compiled for CUDA and does not load beside a PyTorch for CPUs. What
    mmpretrain takes of it is not compiled. Who calls an operator gets torchvision's own message.

    Returns:
        Whether there was need for it.
    """
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None or DEFINED:
        return bool(DEFINED)
    try:
        library_file = str(Path(found.origin).with_name("_C.so"))
        torch.ops.load_library(library_file)  # type: ignore[no-untyped-call]
    except OSError:
        # torchvision describes the shapes of these two whether they are there or not
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ("nms", "qnms"):
            form = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            library.define(form)  # type: ignore[no-untyped-call]
        DEFINED.append(library)
    return bool(DEFINED)


def lay_out_channels_last(model: nn.Module) -> None:
    """Lay a model's maps out with channels last, as is fastest on a CPU and in bfloat16.

    Leaves a model as it is that has a part which fails in that layout.
    """
    if not any(type(part).__name__ in KEEP_CHANNELS_FIRST for part in model.modules()):
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class _StandIn(ModuleType):
    """A module that has every operator."""

    def __init__(self, name: str) -> None:
        super().__init__(name, __doc__)
        self.__spec__ = ModuleSpec(name, loader=None)
        self.psamask_forward, self.psamask_backward = psamask_forward, psamask_backward

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: object, **__: object) -> None:
            raise ModelError(REFUSAL.format(name=name, version=version("onedl-mmcv")))

        return refuse


def psamask_forward(input: Tensor, output: Tensor, psa_type: int, **sizes: int) -> None:
    """The mask of point-wise spatial attention (Zhao et al., PSANet, ECCV 2018).

    Every position has a window of weights around it, of which those inside of the image count.

    Args:
        input: weights, [batch, rows * columns of the window, height, width].
        output: is written: [batch, height * width, height, width]. At [., p, y, x] is the weight
            that position (y, x) has for position p, or, if it distributes, p for (y, x).
        psa_type: 0 collects, 1 distributes.
        sizes: `h_feature`, `w_feature`, `h_mask`, `w_mask`, `half_h_mask` and `half_w_mask`.
    """
    batch, _, height, width = input.shape
    targets = _targets(height, width, *_window(sizes)).to(input.device)
    # one row more for what lies outside of the image
    collected = input.new_zeros(batch, height * width + 1, height * width)
    collected.scatter_(1, targets.expand(batch, -1, -1), input.flatten(2))
    found = collected[:, :-1]
    output.copy_((found if psa_type == COLLECT else found.transpose(1, 2)).reshape(output.shape))


def psamask_backward(grad_output: Tensor, grad_input: Tensor, psa_type: int, **sizes: int) -> None:
    """The gradient of `psamask_forward`: shapes as there, `grad_input` is written."""
    batch, _, height, width = grad_input.shape
    targets = _targets(height, width, *_window(sizes)).to(grad_output.device)
    grad = grad_output.reshape(batch, height * width, height * width)
    grad = grad if psa_type == COLLECT else grad.transpose(1, 2)
    padded = torch.cat([grad, grad.new_zeros(batch, 1, height * width)], dim=1)
    gathered = padded.gather(1, targets.expand(batch, -1, -1))
    grad_input.copy_(gathered.reshape(grad_input.shape))


def _window(sizes: dict[str, int]) -> tuple[int, int, int, int]:
    return sizes["h_mask"], sizes["w_mask"], sizes["half_h_mask"], sizes["half_w_mask"]


@lru_cache(maxsize=4)
def _targets(
    height: int, width: int, rows: int, columns: int, half_rows: int, half_columns: int
) -> Tensor:
    """The position that each weight of each window is for, [1, rows * columns, height * width].

    Outside of the image it is `height * width`.
    """
    y = torch.arange(height)[None, :] + torch.arange(rows)[:, None] - half_rows
    x = torch.arange(width)[None, :] + torch.arange(columns)[:, None] - half_columns
    is_inside = ((y >= 0) & (y < height))[:, None, :, None] & ((x >= 0) & (x < width))[
        None, :, None
    ]
    there = y[:, None, :, None] * width + x[None, :, None, :]
    return torch.where(is_inside, there, height * width).reshape(1, rows * columns, height * width)
