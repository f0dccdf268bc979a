"""What the checks of a dataset found: problems with their place, count and remedy.

Errors stop a workflow, warnings go on and land in the report. Knows no check itself.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of problem in a dataset.

    Attributes:
        level: `error` stops the workflow, `warning` does not.
        problem: what is wrong, as a sentence.
        remedy: what to do about it.
        count: how many files or classes are affected.
        examples: some of them, with the detail of each.
    """

    level: Literal["error", "warning"]
    problem: str
    remedy: str
    count: int
    examples: tuple[str, ...]

    def as_text(self) -> str:
        """The finding as lines for a terminal."""
        lines = [f"{self.problem} ({self.count})"]
        lines += [f"    {example}" for example in self.examples]
        if self.examples and self.count > len(self.examples):
            lines.append(f"    ... and {self.count - len(self.examples)} more")
        return "\n".join([*lines, f"  Remedy: {self.remedy}"])

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain data."""
        return asdict(self)


def grouped_errors(faults: Iterable[tuple[str, str, str]]) -> list[Finding]:
    """Turn `(problem, remedy, example)` triples into one error per kind of problem."""
    examples: dict[tuple[str, str], list[str]] = defaultdict(list)
    for problem, remedy, example in faults:
        examples[problem, remedy].append(example)
    return [
        Finding("error", problem, remedy, len(found), tuple(found[:SHOWN]))
        for (problem, remedy), found in examples.items()
    ]
