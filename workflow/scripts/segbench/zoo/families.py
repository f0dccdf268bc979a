"""What is known about families of models beyond what their configs say, each fact once.

Everything else is found out by building a model (`segbench.engine.preflight`). Knows names of
types and of configs only.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# no backbone of the zoo reduces its input by more than this
COARSEST_STRIDE = 32
# backbones that accept only multiples of this size; test images are padded to them
SIZE_DIVISORS = {"DDRNet": 8, "PIDNet": 8, "UNet": 16}
# backbones whose position embeddings belong to one image size
FIXED_SIZE_BACKBONES = ("BEiT", "MAE")
# the LR-ASPP head pools windows of 49x49 at 1/8 of the resolution
SMALLEST_LRASPP_CROP = 8 * 49
# segmentors that no adaptation to other classes can make work
OTHER_TASKS = {
    "MultimodalEncoderDecoder": "compares images with CLIP's text features of class names, which "
    "exist only for the published classes (SAN). Choose a model with a trained class layer",
    "DepthEstimator": "estimates depth and knows no classes (VPD). Choose a segmentation model",
}

MMDET, MMPRETRAIN, TIMM, DIFFUSION = "mmdet", "mmpretrain", "timm", "stable-diffusion"
CLIP_TEXT = "text features of CLIP"
# types, or the package before the dot of a type, and what they cannot do without
NEEDS = {
    "SideAdapterCLIPHead": (CLIP_TEXT,),
    "Mask2FormerHead": (MMDET,),
    "MaskFormerHead": (MMDET,),
    "mmdet": (MMDET,),
    "mmpretrain": (MMPRETRAIN,),
    "TimmBackbone": (TIMM,),
    "TIMMBackbone": (TIMM,),
    "VPD": (DIFFUSION,),
}
# how timm names what a plain transformer cuts images into
PATCH_IN_NAME = re.compile(r"_patch(\d+)")


def patch_size(backbone: Mapping[str, Any]) -> int:
    """Side of the patches, in pixels, that a backbone of timm cuts images into; 1 for any other.

    Args:
        backbone: as a config describes it.
    """
    if backbone.get("type") != "TimmBackbone":
        return 1
    named = PATCH_IN_NAME.search(str(backbone.get("model_name")))
    return int(backbone.get("patch_size") or (named[1] if named else 1))


def crop_problem(name: str, crop_size: tuple[int, int]) -> str | None:
    """Say why a model cannot be trained on this crop, where the name of its config tells.

    Args:
        name: the zoo name, or the path of a config.
        crop_size: height and width in pixels.

    Returns:
        A sentence with the remedy, or None. That every other model accepts the crop is
        proven by building it before training (`snakemake check`).
    """
    height, width = crop_size
    stem, smallest, divisor = Path(name).stem, SMALLEST_LRASPP_CROP, SIZE_DIVISORS["UNet"]
    if "lraspp" in stem and min(crop_size) < smallest:
        return (
            f"crop_size [{height}, {width}] is too small for LR-ASPP: at least "
            f"[{smallest}, {smallest}]"
        )
    if stem.startswith("unet") and (height % divisor or width % divisor):
        return f"crop_size [{height}, {width}] must be multiples of {divisor} for U-Net"
    return None
