"""Ctrl-C ends with one line that says that the work goes on next time."""

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

from segbench.system.interrupts import hold_back_while_scripts_start


@pytest.fixture
def interrupted(checkout):
    """Run the smallest experiment as from a terminal until it says something."""
    for name in ("smallest.yaml", "tiny_rural.yaml"):
        shutil.copy(ROOT / "tests" / name, checkout.root)
    checkout.edit("smallest.yaml", "max_iters: 6", "max_iters: 5000")

    def run(moment: str, times: int = 1) -> str:
        """Interrupt once it says a word or writes a log; one job at a time, so none just starts."""
        said = checkout.root / "said.txt"
        with said.open("w") as file:
            process = subprocess.Popen(
                [Path(sys.executable).parent / "snakemake", "--cores", "1",
                 "--configfile", "smallest.yaml"],
                cwd=checkout.root, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
                preexec_fn=heed_interrupts,
            )  # fmt: skip
        deadline = time.monotonic() + 240
        log = checkout.root / moment
        while not (log.is_file() or moment in said.read_text()) and time.monotonic() < deadline:
            time.sleep(0.02)
        for _ in range(times):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.05)
        try:
            assert process.wait(timeout=60) != 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return said.read_text()

    return run


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param("results/logs/prepare_dataset/tiny_rural.log", id="while data are prepared"),
        pytest.param("results/logs/check_model/smallest/cgnet_scratch.log", id="while it checks"),
        pytest.param("it/s", id="while a model is trained"),
    ],
)
def test_an_interrupt_is_one_line(interrupted, moment):
    said = interrupted(moment)
    assert "Traceback" not in said
    assert "KeyboardInterrupt" not in said
    assert "Error in rule" not in said
    assert said.count("Interrupted. Run the same command again: what is finished is kept") == 1
    assert "it/s" not in moment or "its state is saved; run again to go on" in said


def test_an_interrupt_given_three_times_is_one_line(interrupted):
    said = interrupted("it/s", times=3)
    assert "Traceback" not in said
    assert said.count("Interrupted. Run the same command again: what is finished is kept") == 1
    assert "its state is saved; run again to go on" in said


@pytest.mark.parametrize("after", [0.01, 0.04, 0.08, 0.12, 0.2])
def test_an_interrupt_while_a_script_starts_says_nothing(tmp_path, after):
    script = tmp_path / ".snakemake/scripts/tmp.render_config.py"
    script.parent.mkdir(parents=True)
    script.write_text("import json, csv, logging, segbench\nimport time\ntime.sleep(60)\n")
    arguments = {}
    hold_back_while_scripts_start(arguments)
    process = subprocess.Popen(
        [sys.executable, script], stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: (heed_interrupts(), arguments["preexec_fn"]()),
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow/scripts")},
    )  # fmt: skip
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert process.returncode != 0
    assert said == ""


@pytest.mark.parametrize("work", ["raise SegbenchError('stopped')", "snakemake.output = []"])
def test_an_interrupt_while_a_script_shuts_down_says_nothing(tmp_path, work):
    script = tmp_path / ".snakemake/scripts/tmp.render_config.py"
    script.parent.mkdir(parents=True)
    script.write_text(
        "import atexit, time, types\n"
        "from segbench.errors import SegbenchError\n"
        "from segbench.system.logs import run_script\n"
        f"def main(snakemake):\n    {work}\n"
        "atexit.register(lambda: (print('ends', flush=True), time.sleep(1)))\n"
        f"given = types.SimpleNamespace(log=[{str(tmp_path / 'x.log')!r}], input=[], output=[])\n"
        "run_script(main, given)\n"
    )
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow/scripts")},
        preexec_fn=heed_interrupts,
    )  # fmt: skip
    assert process.stdout.readline() == "ends\n"
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=30)[1]
    assert "Traceback" not in said
    assert "KeyboardInterrupt" not in said


def test_a_script_that_still_imports_ends_without_a_traceback(tmp_path):
    script = tmp_path / ".snakemake/scripts/tmp.render_config.py"
    script.parent.mkdir(parents=True)
    script.write_text("import segbench.errors\nraise KeyboardInterrupt\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow/scripts")}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert done.stderr == ""
    script.write_text("import segbench.errors\nraise ValueError('seen')\n")
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=False
    )
    assert "ValueError: seen" in done.stderr
