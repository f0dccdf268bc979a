"""Ctrl-C while a script of a rule starts: it ends without a traceback.

Python itself takes a tenth of a second to start, and Snakemake's preamble of a script as long.
Ctrl-C in that time would be a traceback of the interpreter. So Snakemake starts scripts with the
signal blocked, and the script lets it through as soon as it can end quietly.
"""

import signal
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

BY_INTERRUPT = 130  # the status of a script that Ctrl-C ended: 128 and the signal, as in a shell


def hold_back_while_scripts_start(process_arguments: dict[str, Any]) -> None:
    """Have processes start with Ctrl-C blocked, until they import segbench.

    Args:
        process_arguments: of `subprocess.Popen`, as Snakemake uses it for scripts; is changed.
    """
    if hasattr(signal, "pthread_sigmask"):
        process_arguments["preexec_fn"] = _block


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def end_scripts_quietly() -> None:
    """Have a script of a rule end without a traceback if Ctrl-C comes while it still imports."""
    if Path(sys.argv[0]).parent.parts[-2:] == (".snakemake", "scripts"):
        sys.excepthook = _without_interrupts
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _without_interrupts(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
