"""Find the results of an experiment by what a user calls it."""

from pathlib import Path

from segbench.config.schema import read_yaml
from segbench.errors import ConfigError
from segbench.system.run_list import NAME


def find_results(named: str, root: Path = Path("results")) -> Path:
    """The folder of an experiment.

    Args:
        named: its name, its folder, or its config.
        root: folder of all results.

    Raises:
        ConfigError: there is none; names those that there are.
    """
    path = Path(named)
    if path.suffix in (".yaml", ".yml"):
        content = read_yaml(path)
        name = content.get("experiment") if isinstance(content, dict) else None
        path = root / str(name or path.stem)
    for folder in (path, root / named):
        if (folder / NAME).is_file():
            return folder
    there = sorted(found.parent.name for found in root.glob(f"*/{NAME}"))
    raise ConfigError(
        f"{named}: no experiment of this name has been started in {root.resolve()}. "
        + (f"There are: {', '.join(there)}." if there else "None has.")
    )
