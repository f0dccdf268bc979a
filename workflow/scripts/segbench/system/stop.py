"""End a long piece of work where it can be taken up again, when a signal asks for it."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType

from segbench.errors import SegbenchError

Handler = Callable[[int, FrameType | None], object] | int | None
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StoppedError(SegbenchError):
    """The user, or the system, asked for the end."""


class StopRequest:
    """Notes SIGTERM and SIGINT for as long as a context lasts, so that a step can end first.

    Attributes:
        signal: the signal that came, 0 while none has.
    """

    def __init__(self) -> None:
        self.signal = 0
        self._before: dict[int, Handler] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._note) for one in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number

    def agree(self, any_of_all: Callable[[bool], bool]) -> None:
        """Take a signal that came to any of several processes for one that came to this one."""
        if any_of_all(bool(self.signal)) and not self.signal:
            self.signal = signal.SIGTERM

    def obey(self, what: str, iteration: int) -> None:
        """End here, if a signal has come.

        Raises:
            StoppedError: one has; says where the work stands.
        """
        if self.signal:
            name = signal.Signals(self.signal).name
            raise StoppedError(
                f"{what}: stopped by {name} after iteration {iteration}, its state is saved; run "
                "again to go on"
            )
