"""What only a CUDA device can show: `make test-gpu`, on a machine that has one."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch
from helpers import ROOT, recipe_of

from segbench.engine.predict import predict
from segbench.recipe.render import render
from segbench.zoo.names import config_path

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="needs a CUDA device, and none was found"
)

CGNET = "cgnet_fcn_4xb8-60k_cityscapes-512x1024"
RUN = "results/smallest/runs/cgnet/scratch/seed0"
# so much of the device's memory that a large batch does not fit
MEMORY = 1 << 30
TRAIN = """
import sys
from pathlib import Path
import torch
total = torch.cuda.get_device_properties(0).total_memory
torch.cuda.set_per_process_memory_fraction(int(sys.argv[5]) / total)
from segbench.engine.execution import Execution
from segbench.engine.train import train
train(*map(Path, sys.argv[1:5]), "code", Execution(threads=2))
"""


def device_of(run: Path) -> str:
    return json.loads((run / "train.json").read_text())["device"]


def train(
    root: Path, place: Path, batch_size: int, model: str = CGNET, **settings
) -> subprocess.CompletedProcess[str]:
    """Train a little on large crops, with a limit to the device's memory."""
    place.mkdir()
    manifest = root / "results/datasets/tiny_rural/manifest.json"
    wanted = recipe_of(
        run="m/scratch/seed0", initialization="scratch", seed=0, crop_size=(256, 256),
        batch_size=batch_size, **({"max_iters": 4, "val_interval": 4} | settings),
    )  # fmt: skip
    (place / "config.py").write_text(render(config_path(model), manifest, wanted))
    words = [place / "config.py", manifest, place, place / "work", MEMORY]
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRAIN, *map(str, words)], cwd=root,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_runs_train_on_the_device_and_name_it(finished):
    name = torch.cuda.get_device_name(0)
    assert device_of(finished.root / RUN) == name
    record = json.loads((finished.root / RUN / "train.json").read_text())
    assert record["peak_memory_mb"] > 1
    assert f"CUDA {torch.version.cuda}" in record["driver"]


def test_two_runs_at_a_time_killed_once_end_in_a_report(checkout, monkeypatch):
    for name in ("smallest.yaml", "tiny_rural.yaml"):
        shutil.copy(ROOT / "tests" / name, checkout.root)
    checkout.edit("smallest.yaml", "val_interval: 3", "val_interval: 500, save_minutes: 0.05")
    checkout.edit("smallest.yaml", "max_iters: 6", "max_iters: 1500")
    monkeypatch.setenv("SEGBENCH_DEVICES", "cuda:0,cuda:0")
    words = ["--cores", "8", "--resources", "gpu=2", "--configfile", "smallest.yaml"]
    snakemake = Path(sys.executable).parent / "snakemake"
    process = subprocess.Popen(
        [snakemake, *words], cwd=checkout.root, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline, states = time.monotonic() + 240, set[str]()
    while len(states) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
        found = checkout.root.glob("results/work/*/state-*.pth")
        states = {str(path.parent) for path in found}
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(states) == 2, "two trainings saved their states at the same time"
    checkout.run("--unlock", *words[4:], expect=0)
    checkout.run(*words, expect=0)
    assert (checkout.root / "results/smallest/report.html").is_file()
    for model in ("cgnet", "fast_scnn"):
        path = checkout.root / f"results/smallest/runs/{model}/scratch/seed0/train.json"
        record = json.loads(path.read_text())
        assert record["iterations"] == 1500
        assert len(record["sessions"]) == 2
        assert record["sessions"][1]["from_iteration"] > 0


def test_a_batch_beyond_the_device_is_told_how_many_images_fit(finished, tmp_path):
    refused = train(finished.root, tmp_path / "large", 512)
    assert refused.returncode != 0
    said = re.search(r"(\d+) of them fit: set `training.batch_size: (\d+)`", refused.stderr)
    assert said, refused.stderr[-2000:]
    fits = int(said[1])
    assert 1 <= fits < 512
    done = train(finished.root, tmp_path / "fits", fits)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize(
    "model",
    [
        "fast_scnn_8xb4-160k_cityscapes-512x1024",  # pools maps to a size
        "segformer_mit-b0_8xb1-160k_cityscapes-1024x1024",
    ],
)
def test_deterministic_trainings_end_with_the_same_bits(finished, tmp_path, model):
    settings = {"deterministic": True, "max_iters": 60, "val_interval": 60}
    ends = []
    for place in (tmp_path / "once", tmp_path / "again"):
        done = train(finished.root, place, 4, model, **settings)
        assert done.returncode == 0, done.stderr[-2000:]
        state = torch.load(place / "best.pth", map_location="cpu", weights_only=True)["state_dict"]
        ends.append(state)
    once, again = ends
    assert [name for name in once if not torch.equal(once[name], again[name])] == []


def test_the_device_predicts_what_the_cpu_predicts(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(finished.root)
    images = "results/datasets/tiny_rural/val_img"
    for device in ("cpu", "cuda:0"):
        predict(RUN, [images], tmp_path / device, device=device)
    agree = []
    for path in sorted((tmp_path / "cpu/classes").glob("*.png")):
        there = cv2.imread(str(tmp_path / "cuda:0/classes" / path.name), cv2.IMREAD_UNCHANGED)
        agree.append((cv2.imread(str(path), cv2.IMREAD_UNCHANGED) == there).mean())
    assert len(agree) == 8
    assert min(agree) > 0.99
