"""Write the config of one run, from a zoo config, a prepared dataset and a recipe.

Imports mmengine's config, never torch or mmseg.
"""

import os
import tempfile
from pathlib import Path

from mmengine.config import Config

from segbench.datasets.manifest import Manifest
from segbench.errors import ModelError
from segbench.recipe.adapt import adapt
from segbench.recipe.context import Adaptation, Recipe
from segbench.recipe.heads import refuse_odd_heads
from segbench.recipe.overrides import merge_overrides
from segbench.system.files import alone
from segbench.zoo.reader import read_config, refuse_incomplete
from segbench.zoo.requirements import missing, needs_of_types, refusal
from segbench.zoo.tree import refuse_unwritable, walk


def render(zoo_config: Path, manifest_path: Path, recipe: Recipe) -> str:
    """Write the config of one run as text.

    Args:
        zoo_config: an MMSegmentation config file.
        manifest_path: `manifest.json` of the prepared dataset.
        recipe: what the run asks for.

    Returns:
        An MMSegmentation config, as Python source.

    Raises:
        ModelError: the zoo config cannot be read or adapted, or needs what is not installed.
    """
    config = adapted(zoo_config, manifest_path, recipe)
    # the formatter gives the file of its grammar a name before it is written to the end, so that a
    # process which starts at the same time reads a part of it
    lock = Path(tempfile.gettempdir()) / f"segbench-yapf-{os.getuid()}.lock"
    with alone(lock, "the grammar of configs"):
        import yapf.yapflib.yapf_api  # noqa: F401
    return str(config.dump())


def adapted(zoo_config: Path, manifest_path: Path, recipe: Recipe) -> Config:
    """The config of one run, as `render` writes it; arguments and errors are the same."""
    manifest, folder = Manifest.read(manifest_path), manifest_path.parent
    config = read_config(zoo_config)
    try:
        optimizer = config.get("optim_wrapper", {}).get("optimizer", {})
        published_rate = float(optimizer.get("lr") or 1.0)
        merge_overrides(config, recipe.overrides or {})
        refuse_incomplete(config)
        refuse_odd_heads(config.model)
        _refuse_missing_packages(config)
        rendered = adapt(Adaptation(config, manifest, folder, recipe, published_rate))
        refuse_unwritable(rendered.to_dict())
        return rendered
    except ModelError as error:
        raise ModelError(f"{recipe.run}: {zoo_config}: {error}") from None
    except Exception as error:  # a config can hold anything anywhere
        raise ModelError(
            f"{recipe.run}: {zoo_config}: cannot be adapted ({type(error).__name__}: {error}). "
            "Check the config" + (" and `overrides`." if recipe.overrides else ".")
        ) from None


def _refuse_missing_packages(config: Config) -> None:
    """Make sure that what the model's types need is installed, before anything is built."""
    types = [node["type"] for node in walk(config.model) if isinstance(node.get("type"), str)]
    if lacking := missing(needs_of_types(types)):
        raise ModelError(refusal(lacking))
