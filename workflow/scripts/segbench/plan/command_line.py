"""The command line of Snakemake, read as words before Snakemake reads it.

The profiles ask here. Snakemake opens config files itself, before any rule of a workflow is read,
and ends in a traceback where one cannot be read; so that is refused earlier.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from segbench.config.schema import read_yaml
from segbench.errors import ConfigError

KEY = re.compile(r"[A-Za-z_]\w*\Z")


def parsed(words: Sequence[str]) -> argparse.Namespace | None:
    """The flags that say which config is used and where; None where Snakemake refuses them.

    Returns:
        `configfile` and `config` as lists, `directory` and `snakefile` as texts,
        `workflow_profile` as a text or None.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--configfile", "--configfiles", nargs="+", action="extend", default=[])
    parser.add_argument("--config", "-C", nargs="*", action="extend", default=[])
    parser.add_argument("--workflow-profile")
    parser.add_argument("--directory", "-d", default=".")
    parser.add_argument("--snakefile", "-s", default="Snakefile")
    try:
        return parser.parse_known_args(list(words))[0]
    except argparse.ArgumentError:  # a flag without its value
        return None


def refuse_unreadable(words: Sequence[str]) -> None:
    """End with a message where Snakemake could not read a config that the command line names.

    Args:
        words: the arguments of `snakemake`.

    Raises:
        SystemExit: with one line for every problem.
    """
    if given := parsed(words):
        problems = [*map(_file_problem, given.configfile), *map(_pair_problem, given.config)]
        if found := list(filter(None, problems)):
            sys.exit("\n".join(found))


def refuse_missing_profile(words: Sequence[str], found: Callable[[str], object]) -> None:
    """Refuse a workflow profile that does not exist, which Snakemake passes over in silence.

    Without one no GPU is counted, and a file that was touched trains again what is finished.
    Nothing is said with `--directory`, which a relative path does not start from.

    Args:
        words: the arguments of `snakemake`.
        found: where Snakemake finds a profile, by its name or path; None where there is none.

    Raises:
        ConfigError: names the profile.
    """
    given = parsed(words)
    if given is None or given.directory != ".":
        return
    name = given.workflow_profile
    if name and name != "none" and not found(name):
        raise ConfigError(
            f"--workflow-profile: '{name}' is no profile. There are profiles/default, which is "
            "used where no other is named, and profiles/slurm."
        )


def _file_problem(name: str) -> str:
    if not Path(name).exists():
        return (
            f"--configfile: no such file: '{name}'. Correct the path; a target stands before "
            "`--configfile`, or after another flag, as in: snakemake check --configfile FILE"
        )
    try:
        content = read_yaml(Path(name))
    except ConfigError as error:
        return str(error)
    return "" if isinstance(content, dict) else f"{name}: a mapping with keys is needed"


def _pair_problem(pair: str) -> str:
    key, is_pair, _ = pair.partition("=")
    if is_pair and KEY.match(key):
        return ""
    return (
        f"--config: '{pair}' is not KEY=VALUE with a key of the config. A key inside a section is "
        "written as YAML: --config 'training={max_iters: 100}'"
    )
