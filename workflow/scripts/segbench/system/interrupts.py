"""Ctrl-C in a script of a rule that still imports: it ends without a traceback."""

import sys
from pathlib import Path
from types import TracebackType

BY_INTERRUPT = 130  # the status of a script that Ctrl-C ended: 128 and the signal, as in a shell


def end_scripts_quietly() -> None:
    """Have a script of a rule end without a traceback if Ctrl-C comes while it still imports."""
    if Path(sys.argv[0]).parent.parts[-2:] == (".snakemake", "scripts"):
        sys.excepthook = _without_interrupts


def _without_interrupts(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
