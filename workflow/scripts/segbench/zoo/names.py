"""MMSegmentation's model zoo by name, without importing MMSegmentation.

Knows where the installed package keeps its configs and what their names say. Must stay cheap:
a dry run asks it for every model.
"""

import ast
import functools
import hashlib
import importlib.util
import re
from pathlib import Path

from segbench.errors import ConfigError, did_you_mean

GPUS_X_BATCH = re.compile(r"_(\d+)xb(\d+)-")


@functools.cache
def configs_folder() -> Path:
    """The folder of the zoo's configs inside the installed MMSegmentation.

    Raises:
        ConfigError: MMSegmentation is not installed.
    """
    spec = importlib.util.find_spec("mmseg")
    if spec is None or spec.origin is None:
        raise ConfigError("MMSegmentation is not installed here; run `make setup`")
    return Path(spec.origin).parent / ".mim" / "configs"


@functools.cache
def config_paths() -> dict[str, Path]:
    """Map every config name of the zoo to its file."""
    found = configs_folder().glob("*/*.py")
    return {path.stem: path for path in sorted(found) if path.parent.name != "_base_"}


def config_path(name: str) -> Path:
    """Find a config by its zoo name, or by the path of a user's own config file.

    Args:
        name: a config name from the zoo, with or without `.py`, or a path that ends in `.py`.

    Raises:
        ConfigError: no such config; suggests the nearest names.
    """
    if "/" in name:
        if not Path(name).is_file() or not name.endswith(".py"):
            raise ConfigError(
                f"no MMSegmentation config file '{name}': it must be a .py file, and its path "
                f"starts in {Path.cwd()}"
            )
        return Path(name)
    stem = name.removesuffix(".py")
    if stem not in config_paths():
        if Path(name).is_file():
            raise ConfigError(
                f"'{name}' is not a config of the model zoo; for the file write './{name}'"
            )
        hint = did_you_mean(stem, config_paths()) or _that_start_with(stem)
        raise ConfigError(
            f"'{name}' is not a config of the model zoo.{hint} "
            f"All {len(config_paths())} names: python -m segbench zoo --format names"
        )
    return config_paths()[stem]


def _that_start_with(stem: str) -> str:
    """Suggest the first names that start with what was written, with '_' and '-' taken alike."""
    begun = stem.lower().replace("-", "_")
    found = [name for name in config_paths() if name.lower().replace("-", "_").startswith(begun)]
    named = ", ".join(f"'{name}'" for name in found[:3])
    return (
        f" Names that start so: {named}{', ...' if found[3:] else ''}." if begun and found else ""
    )


def published_batch(name: str) -> int | None:
    """The total batch a config was published with, read from its name or those of its bases.

    `..._4xb2-80k_...` means 4 GPUs with 2 images each, so 8. None where no name says it.
    """
    for stem in [Path(name).stem, *(path.stem for path in _own_files(name))]:
        if match := GPUS_X_BATCH.search(stem):
            return int(match[1]) * int(match[2])
    return None


def config_digest(name: str) -> str:
    """Digest of a user's own config and the bases it names; empty for a config of the zoo.

    The zoo's configs change only with the package, whose version is part of the environment.
    """
    if "/" not in name:
        return ""
    contents = [path.read_bytes() for path in _own_files(name)]
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:16]


def _own_files(name: str) -> list[Path]:
    """A user's own config file and, in turn, every local file in its `_base_`; else nothing."""
    if "/" not in name:
        return []
    todo, found = [Path(name)], list[Path]()
    while todo:
        path = todo.pop(0)
        if path in found or not path.is_file():
            continue
        found.append(path)
        todo += bases(path)
    return found


def bases(config: Path) -> list[Path]:
    """The local files that a config names in `_base_`, read without running it."""
    return [_resolved(config.parent / base) for base in _said_bases(config)]


@functools.cache
def _resolved(path: Path) -> Path:
    return path.resolve()


def _said_bases(path: Path) -> list[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, OSError):
        return []  # the message comes when the config is rendered
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == "_base_" for target in targets):
            constants = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
            return [value for value in constants if isinstance(value, str)]
    return []
