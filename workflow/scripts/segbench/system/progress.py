"""Progress of long work as lines of text, on the terminal and in the log alike.

Lines rather than a redrawn bar, because jobs run side by side and cluster logs are files.
"""

import logging
import time

LOG = logging.getLogger(__name__)
BAR_WIDTH = 20


class Progress:
    """Counts steps and logs a line when enough time has passed.

    Args:
        what: starts each line, for instance the name of the run.
        total: number of steps in all.
        unit: what a step is, in the plural.
        start: steps that were already done before.
        every: seconds between two lines at the least.
    """

    def __init__(
        self, what: str, total: int, unit: str, start: int = 0, every: float = 10.0
    ) -> None:
        self._what, self._total, self._unit, self._every = what, total, unit, every
        self._done = self._start = start
        self._began = self._last = time.monotonic()

    def step(self, detail: str = "") -> None:
        """Count one step; log a line if it is due or the work is done."""
        self.reach(self._done + 1, detail)

    def reach(self, done: int, detail: str = "") -> None:
        """Say how many steps are done by now; log a line if it is due or the work is done."""
        self._done = done
        now = time.monotonic()
        if now - self._last >= self._every or self._done == self._total:
            self._last = now
            LOG.info(self.line(now - self._began, detail))

    def line(self, seconds: float, detail: str = "") -> str:
        """The line to show after so many seconds of work."""
        rate = (self._done - self._start) / seconds if seconds > 0 else 0.0
        remaining = (self._total - self._done) / rate if rate > 0 else float("inf")
        filled = BAR_WIDTH * self._done // max(self._total, 1)
        bar = "=" * filled + ">" * (filled < BAR_WIDTH)
        parts = [
            f"{self._what} [{bar:<{BAR_WIDTH}}] {self._done}/{self._total} {self._unit}",
            detail,
            f"{rate:.3g} {self._unit}/s",
            f"{duration(remaining)} left" if self._done < self._total else duration(seconds),
        ]
        return "  ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """Write a duration as people do: `42s`, `3m05s` or `2h07m`."""
    if seconds == float("inf"):
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
