"""The papers that the zoo's models come from, as its metafiles name them."""

from typing import NamedTuple

import yaml

from segbench.errors import ConfigError
from segbench.zoo.names import config_path


class Paper(NamedTuple):
    """A publication: its title and its address."""

    title: str
    url: str


def paper_of(name: str) -> Paper | None:
    """The paper of a config of the zoo, None where its metafile names none.

    Args:
        name: a config name from the zoo; a path of a user's own config has no paper.
    """
    if "/" in name:
        return None
    try:
        metafile = config_path(name).parent / "metafile.yaml"
        collections = yaml.safe_load(metafile.read_text(encoding="utf-8"))["Collections"]
    except (ConfigError, OSError, yaml.YAMLError, KeyError, TypeError):
        return None
    return next((found for one in collections if (found := _paper(one))), None)


def _paper(collection: dict[str, object]) -> Paper | None:
    paper = collection.get("Paper")
    if not isinstance(paper, dict) or not paper.get("Title"):
        return None
    return Paper(" ".join(str(paper["Title"]).split()), str(paper.get("URL") or ""))
