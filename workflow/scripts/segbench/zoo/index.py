"""What the model zoo publishes about its configs: weights, scores, memory, and what they need.

Read from the metafiles inside the installed MMSegmentation, without importing it: a dry run asks
for the weights of its models.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from segbench.errors import ConfigError
from segbench.zoo.names import bases, config_path, configs_folder
from segbench.zoo.requirements import needs_of_types
from segbench.zoo.tree import Node

QUOTED = re.compile(r"['\"]([A-Za-z][\w.]*)['\"]")
CROP = re.compile(r"(?<!\d)(\d{2,4})x(\d{2,4})(?!\d)")
# configs of this repository for what the zoo does not have, seen from where Snakemake is run
OWN_CONFIGS = Path("config/models")
HASH = re.compile(r"-([0-9a-f]{8})\.\w+$")


@dataclass(frozen=True, slots=True)
class Published:
    """One entry of the zoo's index.

    Attributes:
        config: config name of the zoo.
        family: the zoo's name for the method, such as `PSPNet`.
        backbone: as the index abbreviates it, such as `R-101-D8`.
        dataset: what it was trained on.
        crop_size: height and width in pixels, as in the config's name; None if not in it.
        miou: published mean IoU on one scale, a fraction; None where another score is published.
        memory_gb: published memory of the training, per GPU; None where it is not.
        weights_url: address of the checkpoint.
        sha256_prefix: the first 8 hexadecimal digits of the checkpoint's SHA-256.
        needs: what this config needs beside MMSegmentation: `mmdet`, `mmpretrain`...
        available: whether the package has the config; the index names some files that are not.
        license: of the weights, where they are not under that of the zoo.
    """

    config: str
    family: str
    backbone: str
    dataset: str
    crop_size: tuple[int, int] | None
    miou: float | None
    memory_gb: float | None
    weights_url: str
    sha256_prefix: str
    needs: tuple[str, ...]
    available: bool
    license: str = ""


def published(name: str) -> Published | None:
    """What is published about one config; reads only the metafile beside it.

    Args:
        name: a config name from the zoo, with or without `.py`, or the path of a config file.

    Returns:
        The entry, or None for a user's own config and for a config without published weights.
        Where the index names a config twice, the entry whose weights are named most like it.

    Raises:
        ConfigError: no such config.
    """
    path = config_path(name)
    metafile = path.parent / "metafile.yaml"
    if "/" in name or not metafile.is_file():
        return None
    found = [entry for entry in _entries(metafile) if entry.config == path.stem]
    words = set(_words(path.stem))

    def likeness(entry: Published) -> int:
        return len(words & set(_words(entry.weights_url.rpartition("/")[2])))

    return max(found, key=likeness, default=None)


def all_published() -> list[Published]:
    """Every entry of the zoo's index, in its order."""
    folder = configs_folder()
    index = _load(folder.parent / "model-index.yml")["Import"]
    return [entry for one in index for entry in _entries(folder.parent / one)]


def own_configs() -> list[Published]:
    """The configs of this repository for backbones of timm, by the path that a config names.

    Their weights are those of the backbone, and their dataset is that of its pretraining.

    Raises:
        ConfigError: they are not here.
    """
    metafile = OWN_CONFIGS / "metafile.yaml"
    if not metafile.is_file():
        raise ConfigError(f"no {metafile} here; run this in the folder of the Snakefile")
    licenses = {one["Name"]: one["License"] for one in _load(metafile)["Collections"]}
    return [
        replace(entry, config=f"{OWN_CONFIGS / entry.config}.py", license=licenses[entry.family])
        for entry in _entries(metafile)
    ]


@functools.cache
def needs_of(config: Path) -> tuple[str, ...]:
    """What a config needs beside MMSegmentation, from the types that it and its bases name."""
    if not config.is_file():
        return ()
    text = config.read_text(encoding="utf-8", errors="replace")
    found = set(needs_of_types(QUOTED.findall(text)))
    for base in bases(config):
        found.update(needs_of(base))
    return tuple(sorted(found))


@functools.cache
def _entries(metafile: Path) -> tuple[Published, ...]:
    return tuple(_parsed(metafile))


def _parsed(metafile: Path) -> Iterator[Published]:
    try:
        for model in _load(metafile)["Models"]:
            yield _entry(model, metafile.parent)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{metafile}: not a metafile of the model zoo ({type(error).__name__}: {error}); "
            "install MMSegmentation again with `make setup`"
        ) from None


def _entry(model: Node, folder: Path) -> Published:
    name, metadata, results = model["Name"], model["Metadata"], model["Results"]
    path = folder / Path(model["Config"]).name
    # the last size in a name: one before it belongs to the backbone's weights
    crops, sha = CROP.findall(name), HASH.search(model["Weights"])
    score, memory = results["Metrics"].get("mIoU"), metadata.get("Memory (GB)")
    return Published(
        config=name,
        family=model["In Collection"],
        backbone=metadata["Architecture"][0],
        dataset=_dataset(results["Dataset"], name),
        crop_size=(int(crops[-1][0]), int(crops[-1][1])) if crops else None,
        miou=None if score is None else round(float(score) / 100, 6),
        memory_gb=None if memory is None else float(memory),
        weights_url=model["Weights"],
        sha256_prefix=sha[1] if sha else "",
        needs=needs_of(path),
        available=path.is_file(),
    )


def _dataset(said: str, name: str) -> str:
    """The dataset; some entries hold a heading of their table in its place."""
    return "Cityscapes" if said.startswith("#") and "cityscapes" in name else said


def _words(name: str) -> list[str]:
    return re.split(r"[-_.]", name)


def _load(path: Path) -> Any:
    # libyaml reads the index ten times faster than Python does
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), loader)
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: the model zoo's index cannot be read: {error}") from None
