"""Run a rule's script so that its messages reach the terminal and its log file alike.

A problem the user can mend ends as a message, anything else as a pointer to the traceback in the
log. Knows `snakemake` only as an object with a `log`.
"""

import contextlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

from segbench.errors import SegbenchError, escaped
from segbench.system.interrupts import BY_INTERRUPT, overhear_interrupts
from segbench.system.origins import write_origin

LOG = logging.getLogger("segbench")


def run_script(main: Callable[[Any], None], snakemake: Any) -> None:
    """Call a script's `main`, with logging and errors as a user should see them.

    Args:
        main: the script's function.
        snakemake: the object Snakemake gives to scripts; its first log file is written.
    """
    log_path = Path(snakemake.log[0])
    log_path.parent.mkdir(parents=True, exist_ok=True)
    _Log.path = log_path
    with log_path.open("w", buffering=1) as log_file, _logging_to(log_file):
        try:
            _call(main, snakemake, log_file, log_path)
        finally:
            overhear_interrupts()


def _call(main: Callable[[Any], None], snakemake: Any, log_file: TextIO, log_path: Path) -> None:
    try:
        main(snakemake)
        came_from = getattr(snakemake, "params", {}).get("came_from", "")
        outputs, inputs = list(snakemake.output), list(snakemake.input)
        write_origin(outputs, inputs, came_from, _benchmark(log_path))
    except SegbenchError as error:
        _stop(f"{error}")
    except PermissionError as error:
        _stop(f"{error.filename}: no permission ({error.strerror}). Make it writable or readable.")
    except OSError as error:
        _stop(f"{error.filename or 'file system'}: {error.strerror or error}")
    except KeyboardInterrupt:
        _stop("interrupted; run again to go on", BY_INTERRUPT)
    except MemoryError:
        _stop("out of memory; lower `batch_size` or `crop_size`, or give the job more memory")
    except Exception as error:
        import traceback

        traceback.print_exc(file=log_file)
        _stop(f"unexpected {type(error).__name__}: {error} (a defect; details in {log_path})")


def _benchmark(log_path: Path) -> str:
    """The benchmark file of the rule whose log this is; `workflow/rules/common.smk` names both."""
    same = log_path.with_suffix(".jsonl")
    return str(same).replace("results/logs/", "results/benchmarks/", 1)


def log_file() -> Path | None:
    """The log file of the script that runs, None outside of one."""
    return _Log.path


def join_log(path: Path | None, speaks: bool) -> None:
    """Have a process that a script started write to the log of the script.

    Args:
        path: of the log; None where there is none.
        speaks: whether it also speaks on the terminal.
    """
    if path is not None:
        _add_handlers(path.open("a", buffering=1))
    if not speaks:
        LOG.setLevel(logging.WARNING)


@contextlib.contextmanager
def speaking() -> Iterator[None]:
    """Say on the terminal what a command does, and nothing of what libraries warn of."""
    to_terminal = _terminal_handler()
    LOG.setLevel(logging.INFO)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        LOG.addHandler(to_terminal)
        try:
            yield
        finally:
            LOG.removeHandler(to_terminal)


class _Log:
    """What is known of the script that runs."""

    path: Path | None = None


def _stop(message: str, status: int = 1) -> NoReturn:
    LOG.error(message)
    sys.exit(status)


@contextlib.contextmanager
def _logging_to(log_file: TextIO) -> Iterator[None]:
    """Handlers for a script, which must not outlive the streams they write to."""
    # libraries print; that belongs into the log, not between the progress of other jobs
    with warnings.catch_warnings(), contextlib.redirect_stdout(log_file):
        handlers = _add_handlers(log_file)
        try:
            yield
        finally:
            logging.captureWarnings(False)
            for logger, handler in handlers:
                logger.removeHandler(handler)


def _add_handlers(log_file: TextIO) -> list[tuple[logging.Logger, logging.Handler]]:
    logging.captureWarnings(True)
    warnings.simplefilter("default")
    to_file = logging.StreamHandler(log_file)
    to_file.setFormatter(_Escaped("%(asctime)s %(levelname)s %(message)s"))
    handlers: list[tuple[logging.Logger, logging.Handler]] = [
        (logging.getLogger(), to_file),
        (LOG, _terminal_handler()),
    ]
    for logger, handler in handlers:
        logger.addHandler(handler)
    LOG.setLevel(logging.INFO)
    return handlers


def _terminal_handler() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain())
    return handler


class _Escaped(logging.Formatter):
    """Whole records, in which names from files of others cannot move the cursor or end a line."""

    def format(self, record: logging.LogRecord) -> str:
        return escaped(super().format(record))


class _Plain(logging.Formatter):
    """Messages as they are, with their level only where something is wrong."""

    def format(self, record: logging.LogRecord) -> str:
        message = escaped(record.getMessage())
        return message if record.levelno < logging.WARNING else f"{record.levelname}: {message}"
