"""Ctrl-C at an awkward moment ends without a traceback: pressed twice, or while a script starts.

Python itself takes a tenth of a second to start, and Snakemake's preamble of a script as long.
Ctrl-C in that time would be a traceback of the interpreter. So Snakemake starts scripts with the
signal blocked, and the script lets it through as soon as it can end quietly.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

BY_INTERRUPT = 130  # the status of a script that Ctrl-C ended: 128 and the signal, as in a shell
SAME_WISH_SECONDS = 5.0
AGAIN_SECONDS = 0.01  # until a wish is heard that came where what is raised would go no further
# functions of Snakemake that drop it, or take it for a fault of a rule
DEAF = {("snakemake.logging", "emit"), ("snakemake.rules", "evaluate")}


def take_one_interrupt_at_a_time() -> None:
    """Heed Ctrl-C, and overhear it if it comes again at once.

    Snakemake ends its jobs and itself on the first. A second one in the middle of that, from a
    hurried user or from `timeout`, would end in its traceback. Does nothing where Ctrl-C is
    ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _HANDLER)
        sys.unraisablehook = _HANDLER.hear_the_unraisable


class _Once:
    """A handler that raises, but not again right after that."""

    def __init__(self) -> None:
        self._heeded = -SAME_WISH_SECONDS
        self._process = os.getpid()
        self.is_owed = False  # came in a child that has yet to start its program

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._heeded < SAME_WISH_SECONDS:
            return
        if _is_deaf(frame):
            _give_again()
            return
        self._heeded = now
        raise KeyboardInterrupt

    def hear_the_unraisable(self, said: "sys.UnraisableHookArgs") -> None:
        """Give the signal again where Python would print what was raised, and go on.

        It does so while objects are deleted and after a process has forked.
        """
        if said.exc_type is not KeyboardInterrupt:
            sys.__unraisablehook__(said)
        elif os.getpid() != self._process:
            self.is_owed = True
        else:
            self._heeded = -SAME_WISH_SECONDS
            _give_again()


def _is_deaf(frame: FrameType | None) -> bool:
    """Whether what is raised in a frame, or in one that it calls, would be dropped."""
    while frame is not None:
        if (frame.f_globals.get("__name__"), frame.f_code.co_name) in DEAF:
            return True
        frame = frame.f_back
    return False


def _give_again() -> None:
    # to the thread that sleeps or waits; another one would not wake it
    again = (threading.main_thread().ident, signal.SIGINT)
    threading.Timer(AGAIN_SECONDS, signal.pthread_kill, again).start()


_HANDLER = _Once()


def hold_back_while_scripts_start(process_arguments: dict[str, Any]) -> None:
    """Have processes start with Ctrl-C blocked, until they import segbench.

    Args:
        process_arguments: of `subprocess.Popen`, as Snakemake uses it for scripts; is changed.
    """
    if hasattr(signal, "pthread_sigmask"):
        process_arguments["preexec_fn"] = _block


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    if _HANDLER.is_owed:
        os.kill(os.getpid(), signal.SIGINT)  # waits until the program lets it through


def end_scripts_quietly() -> None:
    """Have a script of a rule end without a traceback if Ctrl-C comes while it still imports."""
    if _is_script():
        sys.excepthook = _without_interrupts
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def overhear_interrupts() -> None:
    """Have a script of a rule end as it ends, because its work is over.

    Ctrl-C while the interpreter shuts down, as when it is pressed twice, would be a traceback.
    """
    if _is_script():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _is_script() -> bool:
    """Whether this process was started by Snakemake for a rule."""
    return Path(sys.argv[0]).parent.parts[-2:] == (".snakemake", "scripts")


def _without_interrupts(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
