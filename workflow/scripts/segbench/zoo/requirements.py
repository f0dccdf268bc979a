"""What some models need beside MMSegmentation, told from the types that their configs name.

Looks for packages without importing them: a listing of the zoo and the rendering of a config ask.
"""

import importlib.util
from collections.abc import Iterable, Sequence

from segbench.zoo.families import CLIP_TEXT, DIFFUSION, MMDET, MMPRETRAIN, NEEDS, TIMM

REMEDIES = {
    MMPRETRAIN: "the package mmpretrain: make setup EXTRAS=mmpretrain",
    MMDET: "the package mmdet: make setup EXTRAS=mmdet",
    TIMM: "the package timm: make setup EXTRAS=timm",
    CLIP_TEXT: "text features of your class names, which segbench does not support",
    DIFFUSION: "the package ldm of Stable Diffusion, which segbench does not support",
}
# what must be there to import each; an extra can be half installed
MODULES = {
    MMPRETRAIN: ("mmpretrain", "einops", "mat4py", "modelindex", "torchvision"),
    MMDET: ("mmdet", "pycocotools", "shapely", "terminaltables"),
    TIMM: ("timm", "torchvision"),
    DIFFUSION: ("ldm",),
}


def needs_of_types(types: Iterable[str]) -> tuple[str, ...]:
    """What types of a config need, such as `CCHead` or `mmpretrain.ConvNeXt`; sorted."""
    found = {
        need
        for name in types
        for key in (name, name.partition(".")[0] if "." in name else name)
        for need in NEEDS.get(key, ())
    }
    return tuple(sorted(found))


def missing(needs: Iterable[str]) -> list[str]:
    """Those of some needs that are not installed here."""
    return [need for need in needs if not _is_there(need)]


def refusal(lacking: Sequence[str]) -> str:
    """Why a model cannot be built here and what to do, for needs that are not installed."""
    return (
        f"needs {' and '.join(lacking)}, not installed here. Install {remedy(lacking)}. "
        "Or take this model out of `models`."
    )


def remedy(needs: Iterable[str]) -> str:
    """How to get what is missing, in one sentence."""
    return "; and ".join(REMEDIES[need] for need in needs)


def _is_there(need: str) -> bool:
    modules = MODULES.get(need, ())  # what is no package is nowhere
    return bool(modules) and all(importlib.util.find_spec(name) is not None for name in modules)
