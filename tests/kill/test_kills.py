"""A training that is killed again and again ends as if nothing had happened, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers import recipe_of

from segbench.recipe.render import render
from segbench.zoo.names import config_path

CGNET = "cgnet_fcn_4xb8-60k_cityscapes-512x1024"
# how often; a few are enough to find a fault soon, twenty are the proof (`make test-kill`)
KILLS = int(os.environ.get("SEGBENCH_KILLS", "4"))
# the training says where it stands, and saves a state every two iterations as time would
TRAIN = """
import sys
from pathlib import Path
from segbench.engine import state, train, trainer

place = sys.argv[4] + ".place"
def note(word):
    Path(place).write_text(word)

def slowly(path, stream, write=state.save_whole):
    note("save")
    write(path, stream)
    note("step")

def validate(self, work=trainer.Trainer.validate):
    note("validate")
    work(self)
    note("step")

state.save_whole = slowly
trainer.Trainer.validate = validate
config, manifest, folder, work = sys.argv[1:]
note("start")
paths = [Path(word) for word in (config, manifest, folder, work)]
train.train(*paths, "code", 2, save_minutes=0.2 / 60)
"""


class Killed:
    """One training, started again and again in the same folder."""

    def __init__(self, root: Path, place: Path) -> None:
        self.root, self.place, self.counts = root, place, dict[str, int]()
        wanted = recipe_of(
            run="m/scratch/seed0", initialization="scratch", seed=0, crop_size=(64, 64),
            batch_size=2, max_iters=max(60, 15 * KILLS), val_interval=10, ema=0.9,
        )  # fmt: skip
        self.manifest = root / "results/datasets/tiny_rural/manifest.json"
        (place / "config.py").write_text(render(config_path(CGNET), self.manifest, wanted))

    def start(self, name: str) -> subprocess.Popen[bytes]:
        folder = self.place / name
        folder.mkdir(exist_ok=True)
        words = [self.place / "config.py", self.manifest, folder, self.place / f"{name}-work"]
        return subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", TRAIN, *map(str, words)], cwd=self.root,
            stdout=subprocess.DEVNULL, stderr=(self.place / f"{name}.log").open("a"),
            start_new_session=True,
        )  # fmt: skip

    def at(self, name: str) -> str:
        """What the training is doing."""
        try:
            return (self.place / f"{name}-work.place").read_text()
        except OSError:
            return ""

    def kill_at(self, name: str, moment: str, seconds: float) -> bool:
        """Start it, and kill it some time after it does something; False if it came to its end."""
        process = self.start(name)
        deadline = time.monotonic() + 120
        while process.poll() is None and self.at(name) != moment and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(seconds)
        if process.poll() is not None:
            assert process.returncode == 0, (self.place / f"{name}.log").read_text()[-2000:]
            return False
        self.counts[self.at(name)] = self.counts.get(self.at(name), 0) + 1
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        (self.place / f"{name}-work.place").unlink()
        return True


@pytest.fixture
def killed(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(finished.root)
    return Killed(finished.root, tmp_path)


def test_kills_change_no_bit(killed):
    assert killed.start("whole").wait(timeout=300) == 0
    draw = random.Random(0)
    for kill in range(KILLS):
        # while it saves, while it validates, and anywhere
        moment = ("save", "validate", "step", "start")[kill % 4]
        pause = {"save": 0.01, "validate": 0.2, "step": 1.0, "start": 6.0}[moment]
        if not killed.kill_at("broken", moment, draw.uniform(0, pause)):
            break
    else:
        assert killed.start("broken").wait(timeout=300) == 0
    print(f"killed {sum(killed.counts.values())} times: {killed.counts}")
    assert sum(killed.counts.values()) >= 0.75 * KILLS
    assert {"save", "validate"} <= killed.counts.keys()
    histories = [(killed.place / name / "history.csv").read_text() for name in ("whole", "broken")]
    assert histories[0] == histories[1]
    whole, broken = (
        torch.load(killed.place / name / "best.pth", weights_only=True)["state_dict"]
        for name in ("whole", "broken")
    )
    assert whole.keys() == broken.keys()
    assert all(torch.equal(whole[key], broken[key]) for key in whole)
