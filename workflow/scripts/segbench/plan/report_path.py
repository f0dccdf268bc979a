"""Where the report of an experiment goes, worked out before Snakemake reads any config.

Snakemake takes the path of a report from its command line or a profile alone, so the profiles ask
here. Knows the command line only as words.
"""

import html
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from segbench.plan.command_line import parsed
from segbench.system.files import write_whole

# with one of these targets alone nothing is compared, so there is nothing to report
PARTIAL = {"prepare", "check", "train", "evaluate", "zoo"}


def report_path(words: Sequence[str]) -> str | None:
    """The path of the report that a run of Snakemake shall end with.

    Args:
        words: the arguments of `snakemake`.

    Returns:
        `results/<experiment>/report.html`; None for a dry run, for a target that compares nothing,
        and where the config does not say what the experiment is called.
    """
    if _is_dry(words) or PARTIAL & set(words):
        return None
    given = parsed(words)
    if given is None:
        return None
    files = [Path(file) for file in given.configfile] or _default(given.directory, given.snakefile)
    names = [_experiment_in(file) for file in files]
    names += [word.partition("=")[2] for word in given.config if word.startswith("experiment=")]
    name = next((name for name in reversed(names) if name), None)
    return None if name is None else f"results/{name}/report.html"


def _is_dry(words: Sequence[str]) -> bool:
    return any(re.fullmatch(r"-[a-zA-Z]*n[a-zA-Z]*|--dry-?run", word) for word in words)


def _default(directory: str, snakefile: str) -> list[Path]:
    """The config that is taken where none is named, as the Snakefile does it."""
    places = [Path(directory), Path(snakefile).parent]
    found = [place / "config/config.yaml" for place in places]
    return [path for path in found if path.is_file()][:1]


def _experiment_in(file: Path) -> str | None:
    """The name that a config file gives; what is wrong with the file is said by the workflow."""
    try:
        name = yaml.safe_load(file.read_bytes())["experiment"]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, RecursionError):
        return None
    return name if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) else None


def link_report(results: Path) -> None:
    """Make `results/report.html` lead to the last report, and say where that is.

    Args:
        results: folder of the experiment; it is made, because Snakemake writes the report there
            last of all.

    Raises:
        OSError: it cannot be written.
    """
    results.mkdir(parents=True, exist_ok=True)
    if not (results / "README.md").is_file():  # nothing was compared
        return
    address = html.escape(f"{results.name}/report.html")
    page = (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">\n'
        f'<meta http-equiv="refresh" content="0; url={address}">\n'
        f'<title>{address}</title>\n<p>The last report: <a href="{address}">{address}</a></p>\n'
        "</html>\n"
    )
    write_whole(results.parent / "report.html", page.encode())
    print(f"Results: {results}/README.md; the report: {results}/report.html", file=sys.stderr)
