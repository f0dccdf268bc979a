"""How many devices jobs of a machine see, and what is said of a number that does not fit."""

from pathlib import Path

import pytest

from segbench.engine.devices import lease_device
from segbench.errors import ModelError
from segbench.plan.preconditions import say_where_it_runs
from segbench.system.gpus import devices_of_jobs, gpus_seen

glob = Path.glob


@pytest.fixture
def machine(monkeypatch):
    """A machine with four GPUs, and what its environment says."""

    def made(**environment):
        for name in ("CUDA_VISIBLE_DEVICES", "SEGBENCH_DEVICES"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    def devices(path, pattern):
        if str(path) == "/dev":
            return iter([Path(f"/dev/nvidia{index}") for index in range(4)])
        return glob(path, pattern)

    monkeypatch.setattr(Path, "glob", devices)
    return made


@pytest.mark.parametrize(
    ("shown", "expected"),
    [(None, 4), ("", 0), ("-1", 0), ("2", 1), ("0,3", 2), ("GPU-8932f937,GPU-1cf0e1a1", 2)],
)
def test_those_that_a_scheduler_shows_are_counted(machine, shown, expected):
    machine(**({} if shown is None else {"CUDA_VISIBLE_DEVICES": shown}))
    assert gpus_seen() == devices_of_jobs() == expected


def test_a_list_of_devices_counts_instead(machine):
    machine(SEGBENCH_DEVICES="cuda:0, cuda:0,cuda:1,")
    assert devices_of_jobs() == 3


@pytest.mark.parametrize("named", ["gpu0", "cuda:99", "cpu,cpu:x"])
def test_a_device_that_is_not_there_is_refused(machine, named):
    machine(SEGBENCH_DEVICES=named)
    wrong = named.split(",")[-1]
    with (
        pytest.raises(ModelError, match=f"SEGBENCH_DEVICES names '{wrong}', but this machine has"),
        lease_device(),
    ):
        pass


def test_an_empty_list_of_devices_is_none(machine):
    machine(SEGBENCH_DEVICES=" ,", CUDA_VISIBLE_DEVICES="")
    assert devices_of_jobs() == 0


@pytest.mark.parametrize(
    ("asked", "is_local", "is_said"),
    [(5, True, True), (4, True, False), (None, True, False), (5, False, False)],
)
def test_more_gpus_than_there_are_is_said(machine, capsys, asked, is_local, is_said):
    machine()
    say_where_it_runs(is_local, asked)
    said = capsys.readouterr().err
    assert ("--resources gpu=5, but jobs of this machine see 4" in said) is is_said
    assert is_said or not said


def test_a_machine_without_a_gpu_is_said_once_and_may_train_several_at_once(machine, capsys):
    machine(CUDA_VISIBLE_DEVICES="")
    say_where_it_runs(True, 2)
    assert capsys.readouterr().err.splitlines() == [
        "No CUDA device on this machine: models train and are evaluated on the CPU."
    ]
