"""Ctrl-C is heard where it would be printed or dropped, and work would go on."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

PROGRAM = """
import signal, time, weakref
from segbench.system.interrupts import take_one_interrupt_at_a_time

take_one_interrupt_at_a_time()
{delete}
try:
    delete()
    time.sleep(5)
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
    "while the parent comes back from a fork": """
import os
os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGINT))

def delete():
    if os.fork() == 0:
        os._exit(0)
""",
    # Snakemake drops it there
    "while Snakemake prints a line": """
import logging, sys
from snakemake.logging import ColorizingTextHandler

class Screen:
    def write(self, text):
        signal.raise_signal(signal.SIGINT)

    def flush(self):
        pass

def delete():
    handler = ColorizingTextHandler(nocolor=True, stream=Screen())
    handler.emit(logging.makeLogRecord({"msg": "a job starts", "levelno": 20}))
""",
}
IN_A_CHILD = """
import os, signal, subprocess, sys
from segbench.system.interrupts import (
    hold_back_while_scripts_start, take_one_interrupt_at_a_time)

take_one_interrupt_at_a_time()
os.register_at_fork(after_in_child=lambda: signal.raise_signal(signal.SIGINT))
arguments = {}
hold_back_while_scripts_start(arguments)
blocked = "import signal; print(signal.SIGINT in signal.sigpending())"
subprocess.run([sys.executable, "-c", blocked], **arguments)
"""

SNAKEFILE = """
import signal
from segbench.system.interrupts import take_one_interrupt_at_a_time

take_one_interrupt_at_a_time()

def memory(wildcards):
    signal.raise_signal(signal.SIGINT)
    return 1

rule train:
    output: "best.pth"
    resources: mem_mb=memory
    shell: "sleep 2; touch {output}"
"""


@pytest.mark.parametrize("delete", AWKWARD.values(), ids=AWKWARD)
def test_an_interrupt_is_heard(delete):
    done = _run(PROGRAM.format(delete=delete))
    assert (done.stdout, done.stderr) == ("heard\n", "")


def test_an_interrupt_is_no_fault_of_the_rule_whose_memory_is_worked_out(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    done = _run("from snakemake.cli import main; main(['--cores', '1'])", cwd=tmp_path)
    assert done.returncode != 0
    assert "Exception in rule" not in done.stdout + done.stderr


def test_an_interrupt_between_a_fork_and_its_program_waits_for_the_program():
    done = _run(IN_A_CHILD)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_other_errors_that_cannot_be_raised_are_still_printed():
    faulty = "class Item:\n    def __del__(self):\n        raise ValueError('seen')\n"
    done = _run(
        PROGRAM.format(delete=faulty + "def delete():\n    Item()\n    raise KeyboardInterrupt")
    )
    assert done.stdout == "heard\n"
    assert "ValueError: seen" in done.stderr


def _run(program: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=cwd,
        timeout=15, env={"PYTHONPATH": str(ROOT / "workflow/scripts")},
        # a shell has the jobs that it starts with `&` ignore an interrupt
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
