"""What failed in a run of the workflow, with its cause: the last thing on the screen.

Snakemake says which job failed among everything else that it says. Its messages are listened to
here, and the cause is read from the job's own log.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from segbench.system.interrupts import BY_INTERRUPT

# what Snakemake says of it; a job that Ctrl-C reached first may end before Snakemake heeds it
INTERRUPTED = re.compile(
    rf"on user request|died with <Signals.SIGINT|non-zero exit status {BY_INTERRUPT}\b"
)
LAST_LINE = (
    "Interrupted. Run the same command again: what is finished is kept, and trainings go on from "
    "their saved states."
)
CAUSE = re.compile(r"^\S+ \S+ ERROR (.*)$", re.MULTILINE)
NO_WORD = "it ended without a word; it was probably killed, for its memory or its time"
PAGE_START = (
    "# What failed\n\nRun the same command again once it is mended: what is finished is kept.\n\n"
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that failed.

    Attributes:
        rule: name of its rule.
        log: its log file.
        outputs: what it was to make.
    """

    rule: str
    log: Path
    outputs: tuple[str, ...] = ()

    @property
    def cause(self) -> str:
        """The last error in the log."""
        try:
            causes = CAUSE.findall(self.log.read_text(errors="replace"))
        except OSError:
            causes = []
        return causes[-1] if causes else NO_WORD

    @property
    def is_mended(self) -> bool:
        """Whether another attempt made everything."""
        return all(Path(output).exists() for output in self.outputs)


@dataclass
class Listener(logging.Filter):
    """Notes what fails while Snakemake speaks, and keeps it quiet once the user asked for the end.

    An interrupted job is one that failed for Snakemake, which prints several paragraphs for each.

    Attributes:
        interrupted: whether the user did.
        failures: by log file, the last one of each job.
    """

    interrupted: bool = False
    failures: dict[Path, Failure] = field(default_factory=dict)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a message is shown."""
        self.interrupted = self.interrupted or bool(INTERRUPTED.search(record.getMessage()))
        log = getattr(record, "log", None)
        # what ends after that was ended
        if log and hasattr(record, "rule_name") and not self.interrupted:
            path = Path(str(log[0]))
            outputs = tuple(map(str, getattr(record, "output", ())))
            self.failures[path] = Failure(str(record.rule_name), path, outputs)
        return not self.interrupted or record.levelno < logging.ERROR

    def closing_lines(self) -> list[str]:
        """What to say last."""
        if self.interrupted:
            return [LAST_LINE]
        return lines_of(self.remaining())

    def remaining(self) -> list[Failure]:
        """What failed for good."""
        return [failure for failure in self.failures.values() if not failure.is_mended]


def lines_of(failures: Iterable[Failure]) -> list[str]:
    """A line for the cause of each failure, and one for its log."""
    lines = [f"FAILED {one.rule}: {one.cause}\n       log: {one.log}" for one in failures]
    return [f"{len(lines)} failed:", *lines] if lines else []


def write_page(path: Path, failures: Iterable[Failure]) -> None:
    """Write what failed as Markdown, or remove the page where nothing did.

    Raises:
        OSError: it cannot be written.
    """
    items = [f"- **{one.rule}**: {one.cause}  \n  log: `{one.log}`\n" for one in failures]
    if not items:
        path.unlink(missing_ok=True)
    elif path.parent.is_dir():
        path.write_text(PAGE_START + "".join(items))
