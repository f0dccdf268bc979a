"""What an interrupted training left is taken up only if it is what was saved."""

import logging
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import ROOT
from torch import nn

from segbench.engine.state import TrainingState
from segbench.errors import ModelError
from segbench.system.files import alone, write_whole


class Parts:
    """A model, its optimizer and no schedulers."""

    def __init__(self, value: float):
        self.model = nn.Linear(2, 2)
        nn.init.constant_(self.model.weight, value)
        self.optim = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9)

    def all(self):
        return self.model, self.optim, []


def saved(work: Path, *iterations: int) -> list[Path]:
    for iteration in iterations:
        TrainingState(iteration=iteration).save(work, *Parts(float(iteration)).all())
    return sorted(work.glob("state-*.pth"))


def loaded(work: Path) -> tuple[int, float]:
    parts = Parts(-1.0)
    state = TrainingState.load_or_new(work, *parts.all())
    return state.iteration, float(parts.model.weight[0, 0].detach())


def test_the_last_two_states_are_kept_and_the_newest_is_taken(tmp_path):
    assert len(saved(tmp_path, 10, 20, 30)) == 2
    assert loaded(tmp_path) == (30, 30.0)


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


DAMAGE = {
    "a flipped bit": flipped,
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "foreign": lambda content: b"text",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_state_is_reported_and_the_previous_one_is_used(tmp_path, caplog, damage):
    newest = saved(tmp_path, 10, 20)[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    assert loaded(tmp_path) == (10, 10.0)
    assert str(newest) in caplog.text
    assert "its content is not what was saved" in caplog.text


def test_without_a_sound_state_a_training_starts_again(tmp_path, caplog):
    for path in saved(tmp_path, 10, 20):
        path.write_bytes(b"")
    assert loaded(tmp_path) == (0, -1.0)
    assert caplog.text.count("left out") == 2


def test_a_sound_state_of_another_model_is_refused_with_its_name(tmp_path):
    TrainingState(iteration=5).save(
        tmp_path, (other := nn.Linear(3, 3)), torch.optim.SGD(other.parameters(), lr=1), []
    )
    with pytest.raises(ModelError, match=r"state-000000005-.*is not a state of this training"):
        loaded(tmp_path)


@pytest.mark.parametrize("spoiled", ["weights", "loss"])
def test_a_training_that_went_astray_is_not_saved(tmp_path, caplog, spoiled):
    saved(tmp_path, 10)
    parts, state = Parts(float("nan") if spoiled == "weights" else 1.0), TrainingState(20)
    state.losses = [torch.tensor(float("inf"))] if spoiled == "loss" else []
    state.save(tmp_path, *parts.all())
    assert loaded(tmp_path) == (10, 10.0)
    assert "iteration 20: not saved" in caplog.text


def test_losses_that_no_row_holds_yet_are_part_of_a_state(tmp_path):
    state = TrainingState(iteration=3, losses=[torch.tensor(0.25), torch.tensor(0.5)])
    state.save(tmp_path, *Parts(1.0).all())
    restored = TrainingState.load_or_new(tmp_path, *Parts(2.0).all())
    assert [float(loss) for loss in restored.losses] == [0.25, 0.5]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_last_state_and_says_how_much_is_needed(small_disk):
    before = saved(small_disk, 10)
    large = nn.Linear(300, 300)
    optim = torch.optim.SGD(large.parameters(), lr=1)
    with pytest.raises(ModelError, match="the disk is full: 0 MB are needed and 0 MB are free"):
        TrainingState(iteration=20).save(small_disk, large, optim, [])
    assert sorted(small_disk.iterdir()) == before
    assert loaded(small_disk) == (10, 10.0)


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(5, "I/O")))
    with pytest.raises(OSError, match="I/O"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def hold(lock: Path, entered: Path, seconds: float) -> None:
    with alone(lock):
        entered.touch()
        time.sleep(seconds)


def test_a_second_process_waits_for_the_first(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=hold, args=(tmp_path / "lock", tmp_path / "in", 1.0))
    other.start()
    while not (tmp_path / "in").exists():
        time.sleep(0.01)
    with alone(tmp_path / "lock"):
        assert time.time() - (tmp_path / "in").stat().st_mtime > 0.9
    other.join()
    assert "waiting for another process" in caplog.text


def test_a_killed_process_leaves_no_lock_although_its_children_live_on(tmp_path):
    program = (
        "import os, sys, time; from pathlib import Path\n"
        "from segbench.system.files import alone\n"
        "with alone(Path(sys.argv[1]) / 'lock'):\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(30); os._exit(0)\n"
        "    (Path(sys.argv[1]) / 'in').touch(); time.sleep(30)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], start_new_session=True,
        env=dict(os.environ, PYTHONPATH=str(ROOT / "workflow/scripts")),
    )  # fmt: skip
    while not (tmp_path / "in").exists():
        time.sleep(0.01)
    try:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        began = time.monotonic()
        with alone(tmp_path / "lock"):
            assert time.monotonic() - began < 1
    finally:
        os.killpg(process.pid, signal.SIGKILL)
