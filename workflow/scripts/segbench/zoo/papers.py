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
        name: a config name from the zoo, or the path of a config; a user's own has no paper.
    """
    try:
        path = config_path(name)
        content = yaml.safe_load((path.parent / "metafile.yaml").read_text(encoding="utf-8"))
        of_config = {one["Name"]: one["In Collection"] for one in content["Models"]}
        if "/" in name and path.stem not in of_config:
            return None
        papers = {one["Name"]: found for one in content["Collections"] if (found := _paper(one))}
    except (ConfigError, OSError, yaml.YAMLError, KeyError, TypeError):
        return None
    # a config of the zoo stands beside those of its own method, under a collection of another
    return papers.get(of_config.get(path.stem)) or next(iter(papers.values()), None)


def _paper(collection: dict[str, object]) -> Paper | None:
    paper = collection.get("Paper")
    if not isinstance(paper, dict) or not paper.get("Title"):
        return None
    return Paper(" ".join(str(paper["Title"]).split()), str(paper.get("URL") or ""))
