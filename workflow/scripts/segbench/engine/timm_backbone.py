"""The backbones of timm as MMSegmentation knows backbones: maps, the finest first.

MMSegmentation's own `TIMMBackbone` downloads weights unless it is told not to, and leaves out the
last norm, without which a linear head cannot read a plain vision transformer. Named in
`custom_imports` of the configs that use it, so that MMSegmentation's tools find it. Imports torch,
and timm where a backbone is built.
"""

import contextlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from segbench.errors import ModelError, did_you_mean

Tensors = Mapping[str, Tensor]


@MODELS.register_module()
class TimmBackbone(BaseModule):  # type: ignore[misc]
    """Maps of some blocks or stages of a timm model, each after the model's last norm if it fits.

    Args:
        model_name: of timm's list, such as `vit_small_patch14_dinov2`; a tag after a dot is
            about weights, which come from elsewhere.
        out_indices: the blocks (plain transformers) or stages whose maps are wanted.
        init_cfg: as MMEngine has it.
        options: passed on to the model, such as `dynamic_img_size` and `drop_path_rate`.

    Raises:
        ModelError: timm has no such model, or the model has no maps to give.
    """

    def __init__(
        self,
        model_name: str,
        out_indices: Sequence[int],
        init_cfg: Mapping[str, object] | None = None,
        **options: object,
    ) -> None:
        super().__init__(init_cfg)
        self.timm_model = _created(model_name, options)
        try:
            # what comes after the last of them is never computed, and has no weights
            self.out_indices = self.timm_model.prune_intermediate_layers(list(out_indices))
        except AssertionError as error:
            raise ModelError(f"'{model_name}', `out_indices`: {error}. Correct them.") from None

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Maps [batch, channels, height, width] of images [batch, 3, height, width]."""
        maps = self.timm_model.forward_intermediates(
            images, indices=self.out_indices, norm=True, intermediates_only=True
        )
        return tuple(maps)

    def named_as_here(self, tensors: Tensors) -> dict[str, Tensor]:
        """Entries of a checkpoint of timm, or of the model's authors, as this module has them.

        timm knows how authors named theirs, and resizes tables of positions.

        Raises:
            ModelError: they are those of another architecture.
        """
        adapt = _checkpoint_filter(self.timm_model)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                found = adapt(dict(tensors), self.timm_model)
        except Exception as error:  # timm expects the right checkpoint
            raise ModelError(
                f"its weights cannot be those of {type(self.timm_model).__name__} "
                f"({type(error).__name__}: {error})"
            ) from None
        return {f"timm_model.{key}": value for key, value in found.items()}


def _created(model_name: str, options: Mapping[str, object]) -> Any:
    import timm

    if ":" in model_name or not timm.is_model(model_name):
        hint = did_you_mean(model_name.partition(".")[0], timm.list_models())
        raise ModelError(f"timm {version('timm')} has no model '{model_name}'.{hint}")
    try:
        model = timm.create_model(
            model_name, pretrained=False, num_classes=0, exportable=True, **options
        )
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ModelError(
            f"'{model_name}' cannot be built by timm with {dict(options)}: {error}. Correct "
            "`backbone` of the config."
        ) from None
    if not hasattr(model, "prune_intermediate_layers"):
        raise ModelError(
            f"'{model_name}' of timm gives no maps of its stages. Choose another, such as one of "
            "those in config/models."
        )
    return model


def _checkpoint_filter(model: nn.Module) -> Callable[[dict[str, Tensor], nn.Module], Any]:
    """How timm adapts checkpoints of this kind of model; each of its modules has its own way."""
    module = sys.modules[type(model).__module__]
    return getattr(module, "checkpoint_filter_fn", lambda tensors, _: tensors)
