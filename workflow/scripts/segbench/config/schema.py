"""What every section of a config shares: strict frozen models and messages for people.

Used for the experiment config and for the dataset descriptions. Knows pydantic, and nothing
about what the sections mean.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, TypeVar, get_args

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from segbench.errors import ConfigError, did_you_mean

INTEGER = re.compile(r"[+-]?\d+")
# what Snakemake takes for a wildcard that grows without end
REPEATED = re.compile(r"(.+?)\1{19,}$")
# what YAML 1.1 takes for an octal number, or for one of hours and minutes
OTHER_BASE = re.compile(r"[-+]?(0[0-7_]+$|[0-9][0-9_]*:)")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class Section(BaseModel):
    """A part of a config: unknown keys are refused, values are not changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def integer_from_text(value: object) -> object:
    """Turn '12' into 12: on the command line Snakemake hands over numbers in lists as text."""
    return int(value) if isinstance(value, str) and INTEGER.fullmatch(value) else value


def flag_from_text(value: object) -> object:
    """`true` and `false` as they come from a command line, which Snakemake leaves as text."""
    return (
        {"true": True, "false": False}.get(value.lower(), value)
        if isinstance(value, str)
        else value
    )


def number_from_text(value: object) -> object:
    """Turn '1e-3' (text for YAML) into 0.001, and an integer into a float."""
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1000:
        return float(value)
    return value


def tuple_from_list(value: object) -> object:
    """Make YAML's lists immutable; anything else is left for the type check."""
    return tuple(value) if isinstance(value, list) else value


def without_repetition(name: str) -> str:
    """A name as it is.

    Raises:
        ValueError: its end is one part 20 times or more, which Snakemake refuses in a wildcard.
    """
    if found := REPEATED.search(name):
        raise ValueError(
            f"{_shown(name)} repeats '{found[1]}' 20 times or more at its end. Choose another name."
        )
    return name


Flag = Annotated[bool, BeforeValidator(flag_from_text, json_schema_input_type=bool)]
Count = Annotated[int, BeforeValidator(integer_from_text), Field(ge=1)]
Seed = Annotated[int, BeforeValidator(integer_from_text), Field(ge=0, le=2**32 - 1)]
Rate = Annotated[float, BeforeValidator(number_from_text), Field(gt=0, allow_inf_nan=False)]
Side = Annotated[int, BeforeValidator(integer_from_text), Field(ge=16, le=16384)]
Size = Annotated[tuple[Side, Side], BeforeValidator(tuple_from_list)]
# A name becomes a folder and a wildcard, so it is kept to characters that are safe in both.
Name = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"), AfterValidator(without_repetition)
]

SectionT = TypeVar("SectionT", bound=Section)

# pydantic's kinds of errors in words of YAML; a message without one keeps pydantic's
LIST, MAPPING = "must be a list, as in [1, 2]", "must be a mapping, with `key: value` lines"
EXPECTED = {
    "tuple_type": LIST,
    "list_type": LIST,
    "dict_type": MAPPING,
    "model_type": MAPPING,
    "model_attributes_type": MAPPING,
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "too_short": "must have {min_length} or more entries",
    "too_long": "must have {max_length} entries or fewer",
}


class _PlainLoader(yaml.SafeLoader):
    """Refuses what YAML's loaders silently take for something else.

    A key that is given twice, of which they take the last; `on` and the like as a key, which they
    take for true; and `010` or `1:30`, which they take for the numbers 8 and 90.
    """

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        """Build one mapping."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if key.tag == "tag:yaml.org,2002:bool":
                    raise yaml.YAMLError(
                        f"line {key.start_mark.line + 1}: YAML reads the key {key.value} as true "
                        f"or false, as it does on, off, yes and no. Quote it: '{key.value}'"
                    )
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise yaml.YAMLError(
                        f"the key '{key.value}' is given twice, again in line {line}"
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> object:
        """Build one number, unless it is written in base 8 or 60."""
        if OTHER_BASE.match(node.value):
            raise yaml.YAMLError(
                f"line {node.start_mark.line + 1}: YAML reads {node.value} as a number in base 8 "
                f"or 60. Quote it if it is text: '{node.value}'; else write a number without "
                "':' and without a 0 in front"
            )
        if node.tag == "tag:yaml.org,2002:float":
            return self.construct_yaml_float(node)
        return self.construct_yaml_int(node)


for _kind in ("int", "float"):
    _PlainLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _PlainLoader.construct_number)


def read_yaml(path: Path) -> object:
    """Read a YAML file.

    Raises:
        ConfigError: the file does not exist or is not YAML, or gives a key twice; names the file
            and the line.
    """
    try:
        # a safe loader: it builds plain values and nothing else
        found = yaml.load(path.read_text(encoding="utf-8"), _PlainLoader)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8 text. Save it in the encoding UTF-8.") from None
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file (looked in {Path.cwd()})") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: lists or mappings are nested too deeply") from None
    except yaml.composer.ComposerError as error:
        if "single document" not in str(error):
            raise ConfigError(f"{path}: not valid YAML: {error}") from None
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(
            f"{path}: a second document starts in line {line}. Keep one; a line of `---` parts them"
        ) from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if found is None:
        raise ConfigError(f"{path}: the file is empty")
    return found


def parse_section(section: type[SectionT], data: object, origin: str) -> SectionT:
    """Validate `data` as `section`.

    Args:
        section: the pydantic model to build.
        data: plain YAML data.
        origin: what the message calls the place, for instance a file name.

    Raises:
        ConfigError: one line for each problem, naming the key and the valid values.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{origin}: a mapping with keys is needed, found {_shown(data)}")
    try:
        return section.model_validate(dict(data))
    except ValidationError as error:
        errors = [item for item in error.errors() if not _follows(item, error.errors())]
        problems = list(dict.fromkeys(_explain(section, item) for item in errors))
        raise ConfigError("\n".join(f"{origin}: {problem}" for problem in problems)) from None


def _explain(section: type[BaseModel], item: ErrorDetails) -> str:
    """One pydantic error as a sentence that names the key and what would be valid."""
    location = [part for part in item["loc"] if part != "[key]"]
    key = ".".join(str(part) for part in location)
    kind, value, context = item["type"], item["input"], item.get("ctx", {})
    if kind == "extra_forbidden":
        keys = _keys_at(section, location[:-1])
        return f"`{key}`: unknown key.{did_you_mean(str(location[-1]), keys, shown=20)}"
    if kind == "missing" and isinstance(location[-1], int):
        place = ".".join(map(str, location[:-1]))
        return f"`{place}`: must have {location[-1] + 1} or more entries, found {_shown(value)}."
    if kind == "missing":
        return f"`{key}`: this key is required."
    if kind == "literal_error":
        valid = re.findall(r"'([^']*)'", context["expected"])
        return f"`{key}`: {_shown(value)} is not valid.{did_you_mean(str(value), valid)}"
    if kind == "string_pattern_mismatch" and value and not value.isprintable():
        return f"`{key}`: {_shown(value)} holds a character that cannot be shown."
    if kind == "string_pattern_mismatch":
        return (
            f"`{key}`: {_shown(value)} is not a valid name: use letters, digits, '_', '-' and "
            "'.', at most 100 of them, starting with a letter or digit."
        )
    if kind in EXPECTED:
        return f"`{key}`: {EXPECTED[kind].format(**context)}, found {_shown(value)}."
    message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind == "value_error":
        return f"`{key}`: {message}" if key else message
    return f"`{key}`: {message}, found {_shown(value)}."


def _follows(item: ErrorDetails, errors: Sequence[ErrorDetails]) -> bool:
    """Whether a list is only too short because its items were refused, which is said anyway."""
    place = item["loc"]
    return item["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in errors
    )


def _keys_at(section: type[BaseModel], location: Sequence[int | str]) -> set[str]:
    """Every key that the section(s) at `location` accept."""
    sections = {section}
    for part in location:
        annotations = [
            found.model_fields[part].annotation if part in found.model_fields else None
            for found in sections
        ]
        inner = set().union(*(_sections_in(annotation) for annotation in annotations))
        sections = inner or sections
    return {key for found in sections for key in found.model_fields}


def _sections_in(annotation: object) -> set[type[BaseModel]]:
    """All pydantic models named anywhere inside a type annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return set().union(*(_sections_in(inner) for inner in get_args(annotation)), set())


def _shown(value: object) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
