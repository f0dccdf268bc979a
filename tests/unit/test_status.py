"""What `python -m segbench status` says of runs, from the files that they leave."""

import io
import json
import os
import socket
import subprocess
import sys
import time

import pytest
from helpers import ROOT
from rich.console import Console

from segbench.__main__ import main
from segbench.report import status
from segbench.system import heartbeat
from segbench.system.heartbeat import Heartbeat, Pulse, noted_end, read_heartbeat
from segbench.system.run_list import write_run_list
from segbench.system.run_status import read_status
from segbench.system.stop import StoppedError

NOBODY = 2**22 + 1  # beyond the largest number that Linux gives a process


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results" / "mine"
    write_run_list(folder, [f"m/scratch/seed{seed}" for seed in range(3)], [], {})
    return folder


def leave(results, run, name=heartbeat.NAME, **values):
    """A file that a run would have left."""
    folder = results / "runs" / run
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "run": run, "state": "training", "done": 20, "total": 100, "seconds_each": 0.5,
        "host": socket.gethostname(), "process": os.getpid(), "beat": time.time(),
    }  # fmt: skip
    (folder / name).write_text(Heartbeat(**content | values).model_dump_json())
    return folder


def states(results):
    return [run.state for run in read_status(results).runs]


def test_a_run_of_which_nothing_is_known_waits(results):
    assert states(results) == ["waiting"] * 3


def test_a_run_trains_stalls_or_is_gone(results):
    leave(results, "m/scratch/seed0")
    leave(results, "m/scratch/seed1", beat=time.time() - 500)
    leave(results, "m/scratch/seed2", process=NOBODY)
    assert states(results) == ["training", "stalled", "stopped"]


def test_a_slow_step_is_no_stall(results):
    leave(results, "m/scratch/seed0", beat=time.time() - 500, seconds_each=90)
    assert states(results)[0] == "training"


def test_of_another_machine_only_silence_tells(results):
    leave(results, "m/scratch/seed0", host="node7", process=NOBODY)
    assert states(results)[0] == "training"


def test_a_run_is_trained_evaluated_and_done(results):
    for seed in range(3):
        folder = leave(results, f"m/scratch/seed{seed}", state="done")
        (folder / "train.json").write_text("{}")
    leave(results, "m/scratch/seed1", heartbeat.EVALUATION, state="evaluating")
    (folder / "metrics.json").write_text("{}")
    assert states(results) == ["trained", "evaluating", "done"]


def test_a_run_that_is_trained_again_shows_no_scores_of_before(results):
    folder = leave(results, "m/scratch/seed0")
    (folder / "metrics.json").write_text("{}")  # Snakemake has removed train.json
    assert states(results)[0] == "training"


def test_a_run_on_the_source_dataset_is_done_once_trained(results):
    write_run_list(results, ["m/source/seed0"], ["m/source/seed0"], {})
    folder = leave(results, "m/source/seed0", state="done")
    (folder / "train.json").write_text("{}")
    assert states(results) == ["done"]


def test_what_is_left_is_told_from_runs_of_the_same_model(results):
    leave(results, "m/scratch/seed0")  # 80 of 100 to go, half a second each
    # and two that wait, of 100 each, one at a time
    assert read_status(results).seconds_left == pytest.approx(80 * 0.5 + 2 * 100 * 0.5)
    leave(results, "m/scratch/seed1", done=60)  # two at a time from here
    assert read_status(results).seconds_left == pytest.approx((40 + 20 + 50) / 2)


def test_what_is_left_of_a_stopped_training_is_not_all_of_it(results):
    leave(results, "m/scratch/seed0", state="stopped", done=90)
    leave(results, "m/scratch/seed1", state="done", done=100)
    leave(results, "m/scratch/seed2", state="done", done=100)
    for seed in (1, 2):
        folder = results / f"runs/m/scratch/seed{seed}"
        (folder / "train.json").write_text("{}")
        (folder / "metrics.json").write_text("{}")
    assert read_status(results).seconds_left == pytest.approx(10 * 0.5)


@pytest.mark.parametrize(("width", "shown"), [(120, "14.926"), (60, "2.13"), (50, "30.6")])
def test_a_narrow_terminal_shows_fewer_columns_and_cuts_no_number(results, width, shown):
    leave(results, "m/scratch/seed0", loss=14.926, miou=0.306, seconds_each=0.47, device="CPU")
    console = Console(width=width, file=io.StringIO())
    console.print(status.drawn(read_status(results), width=width))
    lines = console.file.getvalue().splitlines()
    (row,) = (line for line in lines if line.startswith("m/scratch/seed0"))
    assert shown in row
    assert row.split().count("30.6") == 1
    assert ("14.926" in row) is (width == 120)
    assert max(map(len, lines)) <= width


def test_what_a_program_reads_is_cut_nowhere(results):
    leave(results, "m/scratch/seed0", loss=14.926, miou=0.306, device="one with a name " * 9)
    done = subprocess.run(
        [sys.executable, "-m", "segbench", "status", results], capture_output=True, text=True,
        env=os.environ | {"COLUMNS": "80"},
    )  # fmt: skip
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("m/scratch/seed0"))
    assert {"training", "20/100", "14.926"} <= {*row.split()}
    assert row.rstrip().endswith("one with a name " * 8 + "one with a name")


def test_what_failed_is_said_with_its_cause(results, capsys):
    leave(results, "m/scratch/seed0", state="failed", said="[red]the loss is nan[/red]")
    leave(results, "m/scratch/seed1", state="failed", said="m/scratch/seed1: it diverges")
    assert main(["status", str(results)]) == 0
    shown = capsys.readouterr().out
    assert "2 failed, 1 waiting" in shown
    assert "\nm/scratch/seed1: it diverges" in shown
    # nothing of it is taken for markup
    assert "m/scratch/seed0: [red]the loss is nan[/red]" in shown


def test_many_quiet_runs_are_only_counted(results, capsys):
    write_run_list(results, [f"m/scratch/seed{seed}" for seed in range(40)], [], {})
    leave(results, "m/scratch/seed7")
    main(["status", str(results)])
    shown = capsys.readouterr().out
    assert "39 waiting (--all lists them)" in shown
    assert "m/scratch/seed7" in shown
    assert "m/scratch/seed8" not in shown
    main(["status", str(results), "--all"])
    assert "m/scratch/seed8" in capsys.readouterr().out


def test_no_more_rows_are_drawn_than_are_read(results, capsys):
    runs = [f"m/scratch/seed{seed}" for seed in range(130)]
    write_run_list(results, runs, [], {})
    for run in runs:
        leave(results, run)
    main(["status", str(results)])
    assert "not listed: 30 training" in capsys.readouterr().out


def test_programs_get_json(results, capsys):
    leave(results, "m/scratch/seed0")
    main(["status", str(results), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["runs"][0]["done"] == 20
    assert [run["state"] for run in found["runs"]] == ["training", "waiting", "waiting"]


def test_an_experiment_that_was_never_started_is_said(results, monkeypatch, capsys):
    monkeypatch.chdir(results.parent.parent)
    assert main(["status", "other"]) == 1
    said = capsys.readouterr().err
    assert "no experiment of this name has been started" in said
    assert "There are: mine." in said


def test_it_is_found_by_name_and_by_config(results, monkeypatch, capsys):
    monkeypatch.chdir(results.parent.parent)
    (results.parent.parent / "my.yaml").write_text("experiment: mine\n")
    assert main(["status", "mine"]) == main(["status", "my.yaml"]) == 0


def test_a_damaged_file_is_no_more_than_not_known(results):
    folder = leave(results, "m/scratch/seed0")
    (folder / heartbeat.NAME).write_bytes(b"\0\xff")
    assert states(results)[0] == "waiting"


def test_a_thousand_runs_answer_within_seconds(results):
    runs = [f"m{i}/scratch/seed0" for i in range(1000)]
    write_run_list(results, runs, [], {})
    for run in runs:
        leave(results, run)
    done = subprocess.run(
        [sys.executable, "-m", "segbench", "status", str(results), "--json"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow/scripts")},
        capture_output=True, check=True, timeout=20,
    )  # fmt: skip
    assert len(json.loads(done.stdout)["runs"]) == 1000


def test_an_end_is_noted_whatever_it_was(tmp_path):
    path = tmp_path / heartbeat.NAME
    Pulse(path, "m/scratch/seed0", "training", 10)
    for error, state in ((StoppedError("SIGTERM"), "stopped"), (ValueError("odd"), "failed")):
        with pytest.raises(type(error)), noted_end(path, "m/scratch/seed0"):
            raise error
        assert (read_heartbeat(path).state, read_heartbeat(path).said) == (state, str(error))
    with noted_end(path, "m/scratch/seed0"):
        pass
    assert read_heartbeat(path).state == "done"
    assert read_heartbeat(path).total == 10


def test_a_folder_that_cannot_be_written_ends_nothing(tmp_path):
    pulse = Pulse(tmp_path / "missing" / heartbeat.NAME, "m/scratch/seed0", "training", 10)
    pulse.note(1, loss=0.5)
    pulse.flush()


def test_what_is_left_may_take_longer_than_what_is_done(results):
    leave(results, "m/scratch/seed0", heavier=1.5)
    # 80 at 0.75 s, and two of the same model: 20 at 0.5 s and 80 at 0.75 s each
    assert read_status(results).seconds_left == pytest.approx(60 + 2 * 70)


def test_how_much_longer_is_asked_for_when_it_is_written(tmp_path):
    asked, path = [], tmp_path / heartbeat.NAME
    pulse = Pulse(
        path, "m/scratch/seed0", "training", 10, done=4, heavier=lambda *a: asked.append(a) or 2.0
    )
    pulse.note(6)
    pulse.flush()
    assert asked == [(4, 6, 10)]
    assert read_heartbeat(path).heavier == 2


def test_values_are_kept_until_they_are_written(tmp_path):
    path = tmp_path / heartbeat.NAME
    pulse = Pulse(path, "m/scratch/seed0", "training", 10, "CPU", done=4)
    pulse.note(6, loss=0.5)
    pulse.note(miou=0.25)
    pulse.flush()
    found = read_heartbeat(path)
    assert (found.done, found.loss, found.miou, found.state) == (6, 0.5, 0.25, "training")
    assert found.seconds_each > 0
