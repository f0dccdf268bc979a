"""Ctrl-C, at any moment, ends with one line that says that the work goes on next time."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import ROOT, heed_interrupts


@pytest.fixture
def interrupted(checkout):
    """Run the smallest experiment in a terminal's process group until it says something."""
    for name in ("smallest.yaml", "tiny_rural.yaml"):
        shutil.copy(ROOT / "tests" / name, checkout.root)
    checkout.edit("smallest.yaml", "max_iters: 6", "max_iters: 5000")

    def run(moment: str, seconds: float) -> str:
        said = checkout.root / "said.txt"
        with said.open("w") as file:
            process = subprocess.Popen(
                [Path(sys.executable).parent / "snakemake", "--cores", "2",
                 "--configfile", "smallest.yaml"],
                cwd=checkout.root, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=heed_interrupts,
            )  # fmt: skip
        deadline = time.monotonic() + 240
        while moment not in said.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGINT)
        try:
            assert process.wait(timeout=60) != 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return said.read_text()

    return run


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        pytest.param("rule obtain_dataset", 0.5, id="while a script imports"),
        pytest.param("rule prepare_dataset", 1.5, id="while configs are rendered"),
        pytest.param("rule check_model", 2.0, id="while models are checked"),
        pytest.param("it/s", 0.5, id="while a model is trained"),
    ],
)
def test_an_interrupt_is_one_line(interrupted, moment, seconds):
    said = interrupted(moment, seconds)
    assert "Traceback" not in said
    assert "KeyboardInterrupt" not in said
    assert "Error in rule" not in said
    assert said.count("Interrupted. Run the same command again: what is finished is kept") == 1
    assert "it/s" not in moment or "its state is saved; run again to go on" in said
