"""One run on several devices: two real processes on the CPU, joined by torchrun's launcher."""

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import ROOT, recipe_of

from segbench.engine import devices, processes
from segbench.errors import ModelError
from segbench.recipe.render import render
from segbench.zoo.names import config_path

CGNET = "cgnet_fcn_4xb8-60k_cityscapes-512x1024"
# what the network draws differs between processes; and Adam's first steps have the size of the rate
# whatever the gradient, which makes much of the last digit
SIMPLE = {
    "model": {"decode_head": {"dropout_ratio": 0}},
    "optim_wrapper": {"optimizer": {"_delete_": True, "type": "SGD", "lr": 0.01, "momentum": 0.9}},
}
TRAIN = """
import sys
from pathlib import Path
from segbench.engine.execution import Execution
from segbench.engine.train import train
config, manifest, folder, work, count = sys.argv[1:]
execution = Execution(threads=2, devices=int(count))
train(Path(config), Path(manifest), Path(folder), Path(work), "code", execution)
"""


class Runs:
    """Trainings of the same run on any number of devices, each in a process of its own."""

    def __init__(self, root: Path, place: Path) -> None:
        self.root, self.place = root, place

    def config(self, **options):
        settings = {
            "precision": "float32", "crop_size": (64, 64), "batch_size": 4, "max_iters": 8,
            "val_interval": 4,
            "overrides": SIMPLE,
        } | options  # fmt: skip
        wanted = recipe_of(run="m/scratch/seed0", initialization="scratch", seed=0, **settings)
        manifest = Path("results/datasets/tiny_rural/manifest.json")
        path = self.place / "config.py"
        path.write_text(render(config_path(CGNET), self.root / manifest, wanted))
        return [str(path), str(self.root / manifest)]

    def start(self, name: str, count: int, **options) -> subprocess.Popen[str]:
        """Start a training whose results and work lie in a folder of this name."""
        folder = self.place / name
        folder.mkdir(exist_ok=True)
        words = [*self.config(**options), str(folder), str(folder / "work"), str(count)]
        environment = os.environ | {"SEGBENCH_DEVICES": ",".join(["cpu"] * count)}
        return subprocess.Popen(
            [sys.executable, "-c", TRAIN, *words], cwd=self.root, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def train(self, name: str, count: int, **options) -> tuple[int, str]:
        """Train to the end; gives the exit status and what was said."""
        process = self.start(name, count, **options)
        said = process.communicate(timeout=300)[0]
        return process.returncode, said

    def newest(self, name: str) -> int:
        """Iteration of the last state that was saved, 0 for none."""
        found = self.place.glob(f"{name}/work/*/state-*.pth")
        return max((int(path.stem.split("-")[1]) for path in found), default=0)

    def history(self, name: str) -> list[dict[str, str]]:
        with (self.place / name / "history.csv").open() as file:
            return list(csv.DictReader(file))

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        return torch.load(self.place / name / "best.pth", weights_only=True)["state_dict"]


@pytest.fixture
def runs(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(finished.root)
    return Runs(finished.root, tmp_path)


def test_two_devices_train_what_one_trains(runs):
    # rounding grows tenfold in two iterations: after eight it would hide what differs for a reason,
    # and the statistics of the last one count as much as those of the first
    for name, count in (("one", 1), ("two", 2)):
        status, said = runs.train(name, count, max_iters=3, val_interval=1)
        assert status == 0, said
    for one, two in zip(runs.history("one"), runs.history("two"), strict=True):
        assert one.keys() == two.keys()
        assert float(one["loss"]) == pytest.approx(float(two["loss"]), rel=1e-4)
        assert float(one["val_miou"]) == pytest.approx(float(two["val_miou"]), abs=1e-3)
    one, two = runs.weights("one"), runs.weights("two")
    assert any(key.endswith("running_var") for key in one)
    for key, value in one.items():
        # the statistics of batch normalisation among them: over the whole batch in both
        error = (value.float() - two[key].float()).abs().max()
        assert error <= 5e-4 * value.abs().max() + 1e-5, key


def test_a_training_goes_on_with_another_number_of_devices(runs):
    assert runs.train("whole", 1, max_iters=60, val_interval=20)[0] == 0
    process = runs.start("moved", 2, max_iters=60, val_interval=20)
    # stopped after its first validation, whose state is saved
    deadline = time.monotonic() + 120
    while not list(runs.place.glob("moved/work/*/state-*.pth")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=120)[0]
    assert process.returncode != 0
    assert "state is saved" in said
    (state, *_) = sorted(runs.place.glob("moved/work/*/state-*.pth"))
    assert 20 <= int(state.name.split("-")[1]) < 60
    status, said = runs.train("moved", 1, max_iters=60, val_interval=20)
    assert status == 0, said
    whole, moved = runs.history("whole"), runs.history("moved")
    assert [row["iteration"] for row in whole] == [row["iteration"] for row in moved]
    for ours, theirs in zip(whole, moved, strict=True):
        assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=0.02)


def test_the_processes_of_a_launcher_that_was_killed_end_with_their_state_saved(runs):
    process = runs.start("killed", 2, max_iters=5000, val_interval=20)
    deadline = time.monotonic() + 120
    while not runs.newest("killed") and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)  # some iterations more
    before = runs.newest("killed")
    children = [int(pid) for pid in subprocess.run(
        ["pgrep", "--parent", str(process.pid)], capture_output=True, text=True, check=True,
    ).stdout.split()]  # fmt: skip
    assert len(children) == 2
    process.kill()
    process.wait()
    while any(Path(f"/proc/{pid}").is_dir() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in children if Path(f"/proc/{pid}").is_dir()]
    assert runs.newest("killed") > before


def test_a_batch_that_devices_cannot_share_is_refused(runs):
    status, said = runs.train("odd", 2, batch_size=3)
    assert status != 0
    assert "a batch of 3 images cannot be shared evenly by 2 devices" in said


def test_more_devices_than_there_are_is_refused(monkeypatch):
    monkeypatch.setenv("SEGBENCH_DEVICES", "cpu")
    with (
        pytest.raises(ModelError, match=r"`training.gpus_per_run` is 2, but this job sees 1"),
        devices.lease_devices(2),
    ):
        pass


HOLD = """
import sys, time
from segbench.engine.devices import lease_devices
with lease_devices(int(sys.argv[1])) as leased:
    print(time.monotonic(), flush=True)
    time.sleep(float(sys.argv[2]))
    print(time.monotonic(), flush=True)
"""


def test_jobs_of_one_machine_take_different_devices_and_wait_for_them(tmp_path):
    environment = os.environ | {"SEGBENCH_DEVICES": "cpu,cpu,cpu,cpu", "TMPDIR": str(tmp_path)}
    jobs = [
        subprocess.Popen([sys.executable, "-c", HOLD, str(count), "4"], env=environment, text=True,
                         stdout=subprocess.PIPE)
        for count in (1, 2, 1, 2)
    ]  # fmt: skip
    spans = []
    for job, count in zip(jobs, (1, 2, 1, 2), strict=True):
        began, ended = map(float, job.communicate(timeout=120)[0].split())
        spans.append((began, ended, count))
    for moment in [began for began, _, _ in spans]:
        assert sum(c for began, ended, c in spans if began <= moment < ended) <= 4
    # six devices are wanted, so someone had to wait
    assert max(b for b, _, _ in spans) >= min(e for _, e, _ in spans)


def test_a_training_holds_no_device_after_its_end(monkeypatch, tmp_path):
    monkeypatch.setenv("SEGBENCH_DEVICES", "cpu,cpu")
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    with devices.lease_devices(2) as leased:
        assert leased == ["cpu", "cpu"]
        with (
            pytest.raises(RuntimeError, match="are held by other jobs"),
            devices.lease_devices(1, wait=False),
        ):
            pass
    with devices.lease_devices(2, wait=False):
        pass


def test_no_device_is_shared_by_a_single_process():
    assert processes.ALONE.is_first
    assert list(processes.ALONE.share(3)) == [0, 1, 2]


def test_another_number_of_devices_retrains_nothing(finished_copy):
    finished_copy.edit("smallest.yaml", "batch_size: 2,", "batch_size: 2, gpus_per_run: 2,")
    assert finished_copy.pending("--configfile", "smallest.yaml") == {}


def test_a_run_asks_for_its_devices(checkout):
    shutil.copy(ROOT / "tests/smallest.yaml", checkout.root)
    shutil.copy(ROOT / "tests/tiny_rural.yaml", checkout.root)
    checkout.edit("smallest.yaml", "batch_size: 2,", "batch_size: 2, gpus_per_run: 2,")
    said = checkout.run("-n", "--configfile", "smallest.yaml", "--resources", "gpu=4", expect=0)
    assert said.stdout.count("gpu=2") == 2  # both trainings, and no evaluation
