"""Keep checkpoints and configs from running code in a job that builds a model.

Imported before any model is built. Imports mmengine's registries.
"""

import os
from collections.abc import Iterator

from mmengine.registry import Registry, registry, root
from mmengine.utils import get_object_from_string

from segbench.errors import ModelError

# packages whose modules may be imported to look a type up; none of them acts on import
LOOKED_UP = ("mmseg.", "mmengine.", "mmcv.", "mmdet.", "mmpretrain.", "torch.optim.", "segbench.")


def trust_nothing() -> None:
    """Switch off the two ways in which MMEngine runs code of a file that was only to be read.

    * Its loader of checkpoints falls back to unpickling whatever a file asks for. PyTorch then
      ignores what the caller asks for and reads weights only.
    * Its registries import any dotted name. They still find classes of MMSegmentation and its
      relatives by their full name, as configs written in pure Python give it, if registered.
    """
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    registry.get_object_from_string = registered_object


def registered_object(name: str) -> object:
    """The registered class or function of a full dotted name, None if there is none.

    Raises:
        ModelError: the name belongs to another package, or to what no registry has.
    """
    if "." not in name:
        return None
    found = get_object_from_string(name) if name.startswith(LOOKED_UP) else None
    if found is None or not any(found is known for known in _all_registered()):
        raise ModelError(
            f"type '{name}' is not in a registry of MMSegmentation; a config cannot name other "
            "code. Name a registered type"
        )
    return found


def _all_registered() -> Iterator[object]:
    roots = (found for found in vars(root).values() if isinstance(found, Registry))
    todo = list(roots)
    while todo:
        current = todo.pop()
        current.import_from_location()
        yield from current.module_dict.values()
        todo += current.children.values()
