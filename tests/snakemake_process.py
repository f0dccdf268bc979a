"""Snakemake as a process that needs not import it: tests start it hundreds of times.

A server imports what the command imports, once, and forks. A fork is given folder, arguments and
environment, as a new process is, and runs the command; of the library it has read nothing.
"""

import functools
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["snakemake.cli"])


def run_snakemake(
    arguments: Sequence[str], folder: Path, seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run `snakemake ARGUMENTS` in a folder, and give what it said.

    Raises:
        subprocess.TimeoutExpired: it took longer.
    """
    with tempfile.TemporaryDirectory() as temporary:
        said = [Path(temporary) / name for name in ("stdout", "stderr")]
        process = _CONTEXT.Process(
            target=_main,
            args=(list(arguments), str(folder), dict(os.environ), _fresh_path(), *map(str, said)),
        )
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(["snakemake", *arguments], seconds)
        texts = [path.read_text() for path in said]
        return subprocess.CompletedProcess(["snakemake", *arguments], process.exitcode, *texts)


def _fresh_path() -> list[str]:
    """Where a new process looks for modules, which is not where pytest does."""
    return _path_with(os.environ.get("PYTHONPATH", ""))


@functools.cache
def _path_with(_: str) -> list[str]:
    said = subprocess.run(
        [sys.executable, "-c", "import sys; print(*sys.path[1:], sep='\\n')"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [str(Path(sys.executable).parent), *said.stdout.splitlines()]


def _main(
    arguments: list[str],
    folder: str,
    environment: dict[str, str],
    path: list[str],
    stdout: str,
    stderr: str,
) -> None:
    from snakemake.cli import main

    sys.path[:] = path
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for file, number in ((stdout, 1), (stderr, 2)):
        opened = os.open(file, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = [str(Path(sys.executable).parent / "snakemake"), *arguments]
    main()
