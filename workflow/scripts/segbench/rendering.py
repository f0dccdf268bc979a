"""Write the config of one run, from a zoo config, a prepared dataset and a recipe.

Imports mmengine's config, never torch or mmseg.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from segbench.adapt import Adaptation, Recipe
from segbench.errors import ModelError, did_you_mean
from segbench.needs import missing, needs_of_types, refusal
from segbench.zoo_config import refuse_incomplete, typed, walk


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
    return str(adapted(zoo_config, manifest_path, recipe).dump())


def adapted(zoo_config: Path, manifest_path: Path, recipe: Recipe) -> Config:
    """The config of one run, as `render` writes it; arguments and errors are the same."""
    manifest = json.loads(manifest_path.read_text())
    manifest["folder"] = manifest_path.parent.as_posix()
    try:
        config = Config.fromfile(str(zoo_config), import_custom_modules=False)
    except (Exception, SystemExit) as error:  # a config is Python: anything can go wrong in it
        raise ModelError(
            f"{zoo_config}: cannot be read as an MMSegmentation config: {error}"
        ) from None
    try:
        published_rate = _merge_overrides(config, recipe.overrides or {})
        refuse_incomplete(config)
        _refuse_missing_packages(config)
        return Adaptation(config, manifest, recipe, published_rate).run()
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


def _merge_overrides(config: Config, overrides: Mapping[str, Any]) -> float:
    """Merge what the user changes; returns the learning rate that was published."""
    published = float(config.get("optim_wrapper", {}).get("optimizer", {}).get("lr") or 1.0)
    for key in overrides:
        if key not in config:
            raise ModelError(
                f"`overrides.{key}`: the config has no such key.{did_you_mean(key, config)}"
            )
    if overrides:
        config.merge_from_dict(typed(overrides))
    return published
