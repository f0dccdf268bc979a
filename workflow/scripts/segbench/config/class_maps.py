"""Class maps: which class of a source stands for which class of the target.

A source is what a checkpoint was trained on. Knows names only; imports neither torch nor mmseg,
because wrong names must be found before anything runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segbench.config.paths import located, looked_in
from segbench.config.schema import read_yaml
from segbench.errors import ConfigError, did_you_mean

NO_COUNTERPART = -1


@dataclass(frozen=True, slots=True)
class ClassMap:
    """For every source class the id of its target class.

    Attributes:
        source: names of the source's classes, by id.
        target: names of the target's classes, by id.
        ids: target id for each source id, `NO_COUNTERPART` where there is none.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    ids: tuple[int, ...]


def class_map(
    source: Sequence[str],
    target: Sequence[str],
    given: str | Mapping[str, str | None] | None,
    *folders: Path,
) -> ClassMap:
    """Build a class map.

    Args:
        source: names of the source's classes.
        target: names of the target's classes.
        given: names of source classes to names of target classes, or a YAML file with them; null
            or leaving a class out means that it has no counterpart. By default classes of the
            same name belong together.
        folders: where a relative path is looked for, one after another, if the working directory
            lacks it.

    Raises:
        ConfigError: a name is unknown, or no class has a counterpart.
    """
    if given is None:
        by_name = {_normal(name): i for i, name in enumerate(target)}
        ids = tuple(by_name.get(_normal(name), NO_COUNTERPART) for name in source)
        origin = "classes of the same name: "
    else:
        origin, names = _read(given, folders)
        _refuse_unknown(origin, names, source, target)
        by_name = {_normal(name): i for i, name in enumerate(target)}
        wanted = {_normal(key): value for key, value in names.items()}
        ids = tuple(_id(wanted.get(_normal(name)), by_name) for name in source)
    if all(i == NO_COUNTERPART for i in ids):
        raise ConfigError(
            f"{origin}no class of the source has a counterpart in the target. Source: "
            f"{_shown(source)}. Target: {_shown(target)}. Name the pairs in a `class_map`."
        )
    return ClassMap(tuple(source), tuple(target), ids)


def sources_of(ids: Sequence[int], targets: int) -> tuple[tuple[int, ...], ...]:
    """For each of a number of target classes the ids of the source classes that stand for it.

    Args:
        ids: target id for each source id, as in a `ClassMap`.
        targets: number of target classes.
    """
    return tuple(
        tuple(i for i, mapped in enumerate(ids) if mapped == target) for target in range(targets)
    )


def _id(name: str | None, by_name: Mapping[str, int]) -> int:
    return NO_COUNTERPART if name is None else by_name[_normal(name)]


def _read(
    given: str | Mapping[str, str | None], folders: Sequence[Path]
) -> tuple[str, Mapping[str, str | None]]:
    if isinstance(given, Mapping):
        return "", given
    path = located(given, folders)
    if not path.exists():
        raise ConfigError(f"{given}: no such file ({looked_in(given, folders)})")
    names = read_yaml(path)
    if not isinstance(names, Mapping) or not all(
        isinstance(key, str) and isinstance(value, str | None) for key, value in names.items()
    ):
        raise ConfigError(f"{path}: one line `source class: target class` for each class is needed")
    return f"{path}: ", names


def _refuse_unknown(
    origin: str,
    names: Mapping[str, str | None],
    source: Sequence[str],
    target: Sequence[str],
) -> None:
    """Make sure that both classes of every pair exist, and that no class is named twice."""
    problems, seen = list[str](), dict[str, str]()
    for name in names:
        if (first := seen.setdefault(_normal(name), name)) != name:
            problems.append(f"{origin}'{first}' and '{name}' name the same class; keep one line")
    for end, wanted, known in (
        ("source", names, source),
        ("target", [value for value in names.values() if value is not None], target),
    ):
        valid = {_normal(name) for name in known}
        for name in wanted:
            if _normal(name) not in valid:
                problems.append(
                    f"{origin}'{name}' is not a class of the {end}.{did_you_mean(name, known, 30)}"
                )
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))


def _normal(name: str) -> str:
    return " ".join(name.lower().split())


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
