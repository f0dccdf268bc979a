"""Load weights into a model without trusting the file, and say what was loaded.

Checkpoints are read with torch's `weights_only`, so nothing in them is executed. A mismatch of
keys is never silent. Imports torch.
"""

import logging
import pickle
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from segbench.engine.checkpoints.position_embeddings import at_size_of
from segbench.errors import ModelError

LOG = logging.getLogger(__name__)
# wrappers around a state dict, and prefixes of its keys, that checkpoints in the wild have
WRAPPERS = ("state_dict", "model", "model_state")
PREFIXES = ("module.", "backbone.")
# counters of batch norm, which old checkpoints lack, and indices that follow from the crop
NO_KNOWLEDGE = ("num_batches_tracked", "relative_position_index")
# Counted on built models: without its D branch (which MMSegmentation says is not pretrained) and
# what joins the branches, PIDNet has 63 % of its entries, and DDRNet without its pyramid 79 %; a
# ResNet-101 that is given a ResNet-50 takes 52 %.
MIN_LOADED_SHARE = 0.6
# what torch names as neither allowed nor weights
FOREIGN = re.compile(r"GLOBAL ([\w.]+)")
SHOWN = 4


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a checkpoint gave to a module.

    Attributes:
        part: what it was loaded into, `backbone` or `model`.
        loaded: number of entries taken from the checkpoint.
        wanted: number of entries the module has.
        missing: entries of the module that the checkpoint does not have.
        mismatched: entries whose shape differs.
        unused: entries of the checkpoint that the module does not have.
    """

    part: str
    loaded: int
    wanted: int
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]
    unused: tuple[str, ...]

    @classmethod
    def of(
        cls,
        part: str,
        own: Mapping[str, Tensor],
        given: Mapping[str, Tensor],
        taken: Mapping[str, Tensor],
    ) -> "LoadReport":
        """Compare what a module has with what a checkpoint has and what was taken of it."""
        wanted = {k for k in own if not k.endswith(NO_KNOWLEDGE)}
        return cls(
            part=part,
            loaded=len(wanted & taken.keys()),
            wanted=len(wanted),
            missing=tuple(sorted(wanted - given.keys())),
            mismatched=tuple(sorted(k for k in given.keys() & wanted if k not in taken)),
            unused=tuple(sorted(given.keys() - own.keys())),
        )

    def sentence(self) -> str:
        """The report in one sentence."""
        parts = [f"{self.loaded} of {self.wanted} {self.part} entries loaded"]
        for what in ("missing", "mismatched", "unused"):
            keys: tuple[str, ...] = getattr(self, what)
            if keys:
                shown = ", ".join(keys[:SHOWN]) + (", ..." if len(keys) > SHOWN else "")
                parts.append(f"{len(keys)} {what} ({shown})")
        return "; ".join(parts)


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint file.

    Raises:
        ModelError: the file is missing, damaged, or holds more than weights.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such weights file; correct the config")
    try:
        content = _read(path)
    except ModelError:
        raise
    except pickle.UnpicklingError as error:
        # torch's own message goes on about how to run the code in the file
        found = FOREIGN.search(str(error))
        reason = f"it names {found[1]}" if found else "it is not a checkpoint of PyTorch"
        raise ModelError(
            f"{path}: refused, because it is damaged or holds more than weights ({reason}). Get "
            "it again, or a file with nothing but weights."
        ) from None
    except Exception as error:  # whatever reading damaged bytes runs into
        raise ModelError(
            f"{path}: damaged or no checkpoint ({type(error).__name__}); get it again"
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    entries = content.items() if isinstance(content, Mapping) else []
    tensors = {k: v for k, v in entries if isinstance(k, str) and isinstance(v, Tensor)}
    if not tensors:
        raise ModelError(f"{path}: holds no weights")
    if broken := [k for k, v in tensors.items() if v.is_floating_point() and v.isnan().any()]:
        raise ModelError(
            f"{path}: {len(broken)} entries hold NaN, such as {broken[0]}: a training that "
            "diverged. Get another checkpoint."
        )
    return tensors


def _read(path: Path) -> object:
    if path.suffix != ".safetensors":
        return torch.load(path, map_location="cpu", weights_only=True)
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise ModelError(
            f"{path}: needs the package safetensors to be read: make setup EXTRAS=timm"
        ) from None
    return load_file(path)


def load_backbone(backbone: nn.Module, path: Path) -> LoadReport:
    """Load ImageNet weights into a backbone.

    Args:
        backbone: the module to load into.
        path: checkpoint of a backbone, or of a classifier that contains it.

    Raises:
        ModelError: fewer than three fifths of the backbone's entries are in the file.
    """
    own = {key: value.clone() for key, value in backbone.state_dict().items()}
    tensors = read_state_dict(path)
    if rename := getattr(backbone, "named_as_here", None):
        try:
            tensors = rename(tensors)
        except ModelError as error:
            raise ModelError(f"{path}: {error}. Name another file in `backbone_weights`.") from None
    given = at_size_of(backbone, fit_prefix(tensors, own))
    fitting = {k: v for k, v in given.items() if k in own and v.shape == own[k].shape}
    report = LoadReport.of("backbone", own, given, fitting)
    if report.loaded < report.wanted and _has_own_loader(backbone):
        report = _load_by_itself(backbone, tensors, own, fitting)
    else:
        backbone.load_state_dict(fitting, strict=False)
    if report.loaded < MIN_LOADED_SHARE * report.wanted:
        raise ModelError(
            f"{path}: does not fit the backbone {type(backbone).__name__}: {report.sentence()}. "
            "Name a checkpoint of the same architecture in `backbone_weights`."
        )
    (LOG.info if report.loaded == report.wanted else LOG.warning)("%s: %s", path, report.sentence())
    return report


def _has_own_loader(backbone: nn.Module) -> bool:
    """Whether a backbone adapts pretrained weights itself, as transformers resize tables."""
    own = getattr(type(backbone), "init_weights", None)
    return own is not None and own is not BaseModule.init_weights


def _load_by_itself(
    backbone: nn.Module,
    tensors: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    fitting: Mapping[str, Tensor],
) -> LoadReport:
    """Let a backbone load weights its own way, and see what changed.

    It is given a clean copy: MMEngine's loader would run code that is hidden in the file itself.
    """
    with tempfile.TemporaryDirectory() as folder:
        clean = Path(folder) / "weights.pth"
        torch.save({"state_dict": dict(tensors)}, clean)
        backbone.init_cfg = {"type": "Pretrained", "checkpoint": str(clean)}  # type: ignore[assignment]
        backbone._is_init = False  # type: ignore[assignment]
        try:
            backbone.init_weights()  # type: ignore[operator]
        except Exception as error:  # a backbone's loader is foreign code
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(f"cannot load its pretrained weights: {reason}") from None
    after = backbone.state_dict()
    changed = {k: v for k, v in after.items() if k in fitting or not torch.equal(v, own[k])}
    return LoadReport.of("backbone", own, after, changed)


def fit_prefix(given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Strip the key prefix under which most entries fit."""
    candidates = [dict(given)]
    for prefix in PREFIXES:
        candidates.append({k.removeprefix(prefix): v for k, v in given.items()})
    return max(candidates, key=lambda keys: len(keys.keys() & own.keys()))
