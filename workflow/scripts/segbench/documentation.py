"""Write what is derived from the code: JSON schemas, the manual's tables, the list of checks.

`make docs` runs it; a test fails when a file is not what it would write.
"""

import json
import re
from pathlib import Path

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaValue

from segbench.config.evaluation import Conditions, Evaluation
from segbench.config.experiment import (
    Experiment,
    Model,
    Predict,
    TransferSource,
    Weights,
    WeightsStore,
)
from segbench.config.screening import Screening
from segbench.config.training import Training
from segbench.datasets.class_list import Class, ClassList
from segbench.datasets.description import (
    About,
    DatasetDescription,
    Labels,
    Source,
)
from segbench.datasets.findings import KINDS
from segbench.datasets.split_settings import Folds, RandomSplit, Splits

SECTIONS: tuple[type[BaseModel], ...] = (
    Experiment, Model, Training, TransferSource, Weights, WeightsStore, Evaluation,
    Conditions, Screening, Predict, DatasetDescription, About, Source, Labels, Splits,
    RandomSplit, Folds, ClassList, Class,
)  # fmt: skip
TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def generated_files(root: Path) -> dict[Path, str]:
    """Every generated file and what it should contain.

    Args:
        root: of the repository.
    """
    manual = root / "config" / "README.md"
    checks = root / "docs" / "checks.md"
    return {
        root / "config" / "schema.json": _schema(Experiment, "segbench experiment"),
        root / "config" / "datasets" / "schema.json": _schema(
            DatasetDescription, "segbench dataset description"
        ),
        manual: with_tables(manual.read_text(encoding="utf-8")),
        checks: with_tables(checks.read_text(encoding="utf-8")),
    }


def write_documentation(root: Path) -> None:
    """Bring every generated file up to date."""
    for path, content in generated_files(root).items():
        path.write_text(content, encoding="utf-8")


def with_tables(page: str) -> str:
    """Replace what stands between the markers of each table in a Markdown page."""
    tables = {section.__name__: table(section) for section in SECTIONS}
    tables["findings"] = table_of_findings()
    return TABLE.sub(lambda match: match[1] + tables[match[2]] + match[3], page)


def table(section: type[BaseModel]) -> str:
    """The keys of a section as a Markdown table."""
    rows = ["| key | type | default | what it says |", "|---|---|---|---|"]
    properties = section.model_json_schema()["properties"]
    definitions = section.model_json_schema().get("$defs", {})
    for name, field in section.model_fields.items():
        kind = _type(properties[name], definitions)
        default = "required" if field.is_required() else _default(field.get_default())
        says = str(field.description).replace("|", "\\|")
        rows.append(f"| `{name}` | {kind} | {default} | {says} |")
    return "\n".join(rows) + "\n"


def table_of_findings() -> str:
    """Every kind of problem that the checks of a dataset know, as a Markdown table."""
    # pandas, which `python -m segbench zoo` would wait for
    from segbench.datasets.check import FEW_IMAGES, RARE_SHARE

    gaps = {"split": "train or val", "share": 100 * RARE_SHARE, "few": FEW_IMAGES}
    rows = ["| code | level | found | what to do |", "|---|---|---|---|"]
    for code, kind in KINDS.items():
        words = (text.format(**gaps).replace("|", "\\|") for text in (kind.problem, kind.remedy))
        rows.append(" | ".join([f"| `{code}`", kind.level, *words]) + " |")
    return "\n".join(rows) + "\n"


def _schema(section: type[BaseModel], title: str) -> str:
    schema = {"$schema": DIALECT} | section.model_json_schema() | {"title": title}
    return json.dumps(schema, indent=1) + "\n"


def _default(value: object) -> str:
    if value is None or value in ({}, ()) or isinstance(value, BaseModel):
        return "–"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`" if value != "" else "–"


def _type(schema: JsonSchemaValue, definitions: JsonSchemaValue) -> str:
    """A JSON schema in a few words."""
    if "$ref" in schema:
        return _type(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        options = [one for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(_type(one, definitions) for one in options))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type")
    if kind == "array":
        if "prefixItems" in schema:
            return f"list of {len(schema['prefixItems'])} {_plural(schema['prefixItems'][0])}"
        kind = _type(schema["items"], definitions)
        return f"list of {kind}{'' if kind.startswith(('`', 'list')) else 's'}"
    return {
        "string": "text", "integer": "whole number", "number": "number", "object": "mapping",
        "boolean": "true or false",
    }.get(str(kind), "any")  # fmt: skip


def _plural(schema: JsonSchemaValue) -> str:
    return "whole numbers" if schema.get("type") == "integer" else "values"
