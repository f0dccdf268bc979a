"""Ctrl-C is heard where Python would print a traceback, and go on: while objects are deleted."""

import subprocess
import sys

import pytest
from helpers import ROOT

PROGRAM = """
import signal, time, weakref
from segbench.system.interrupts import take_one_interrupt_at_a_time

take_one_interrupt_at_a_time()
{delete}
try:
    delete()
    time.sleep(20)
    print("overheard")
except KeyboardInterrupt:
    print("heard")
"""
AWKWARD = {
    "while an object is deleted": """
class Item:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def delete():
    Item()
""",
    "while a weak set forgets an object": """
class Item:
    pass

class Nobody:  # whom it asks whether anybody walks through it just now
    def __bool__(self):
        signal.raise_signal(signal.SIGINT)
        return False

held = [Item()]
items = weakref.WeakSet(held)
items._iterating = Nobody()

def delete():
    held.clear()
""",
}


@pytest.mark.parametrize("delete", AWKWARD.values(), ids=AWKWARD)
def test_an_interrupt_is_heard(delete):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(delete=delete)], capture_output=True, text=True,
        timeout=15, env={"PYTHONPATH": str(ROOT / "workflow/scripts")},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("heard\n", "")
