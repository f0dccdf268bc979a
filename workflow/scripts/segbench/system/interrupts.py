"""Ctrl-C in Snakemake: one line that says that the work goes on next time, and no errors.

An interrupted job is one that failed for Snakemake, which prints several paragraphs for each.
"""

import logging
import sys
from pathlib import Path
from types import TracebackType

SAID_BY_SNAKEMAKE = "on user request"
LAST_LINE = (
    "Interrupted. Run the same command again: what is finished is kept, and trainings go on from "
    "their saved states."
)


class QuietAfterInterrupt(logging.Filter):
    """Lets Snakemake's errors pass until the user asks for the end.

    Attributes:
        interrupted: whether the user did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.interrupted = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message is shown."""
        if SAID_BY_SNAKEMAKE in record.getMessage():
            self.interrupted = True
        return not self.interrupted or record.levelno < logging.ERROR


def end_scripts_quietly() -> None:
    """Have a script of a rule end without a traceback if Ctrl-C comes while it still imports."""
    if Path(sys.argv[0]).parent.parts[-2:] == (".snakemake", "scripts"):
        sys.excepthook = _without_interrupts


def _without_interrupts(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
