"""A training that is killed again and again ends as if nothing had happened, bit for bit."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import recipe_of

from segbench.recipe.render import render
from segbench.zoo.names import config_path

CGNET = "cgnet_fcn_4xb8-60k_cityscapes-512x1024"
# how often; a few are enough to find a fault soon, twenty are the proof (`make test-kill`)
KILLS_OF_EACH = int(os.environ.get("SEGBENCH_KILLS", "4")) // 2
# The training saves a state every two iterations, as time would. It kills itself some time after a
# moment begins: from outside, a loaded machine would see a save or a validation only when it is
# over. Both of them wait for the kill at their end, where it is for them.
TRAIN = """
import os, signal, sys, threading, time
from pathlib import Path
from segbench.engine import state, train, trainer
from segbench.engine.execution import Execution

config, manifest, folder, work, moment, seconds = sys.argv[1:]
now = ""

def kill():
    Path(work + ".killed").write_text(now)
    os.killpg(0, signal.SIGKILL)

def enter(word):
    global moment, now
    now = word
    doomed = word == moment
    if doomed:
        moment = ""
        threading.Timer(float(seconds), kill).start()
    return doomed

def within(word, function):
    def watched(*arguments):
        doomed = enter(word)
        function(*arguments)
        if doomed:
            time.sleep(60)
        enter("step")
    return watched

state.save_whole = within("save", state.save_whole)
trainer.Trainer.validate = within("validate", trainer.Trainer.validate)
enter("start")
paths = [Path(word) for word in (config, manifest, folder, work)]
train.train(*paths, "code", Execution(threads=2, save_minutes=0.2 / 60))
"""


class Killed:
    """One training, started again and again in the same folder."""

    def __init__(self, root: Path, place: Path) -> None:
        self.root, self.place, self.counts = root, place, dict[str, int]()
        wanted = recipe_of(
            run="m/scratch/seed0", initialization="scratch", seed=0, crop_size=(64, 64),
            batch_size=2, max_iters=max(60, 15 * KILLS_OF_EACH), val_interval=10, ema=0.9,
            precision="float32",
        )  # fmt: skip
        self.manifest = root / "results/datasets/tiny_rural/manifest.json"
        (place / "config.py").write_text(render(config_path(CGNET), self.manifest, wanted))

    def start(self, name: str, moment: str = "never", seconds: float = 0) -> int:
        """Train until the end or the kill, which is ``seconds`` after ``moment`` has begun."""
        folder = self.place / name
        folder.mkdir(exist_ok=True)
        words = [self.place / "config.py", self.manifest, folder, self.place / f"{name}-work"]
        words += [moment, seconds]
        log = self.place / f"{name}.log"
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", TRAIN, *map(str, words)], cwd=self.root,
            stdout=subprocess.DEVNULL, stderr=log.open("w"), start_new_session=True, timeout=300,
        )  # fmt: skip
        assert done.returncode in (0, -signal.SIGKILL), log.read_text()[-2000:]
        return done.returncode

    def kill_at(self, name: str, moment: str, seconds: float) -> bool:
        """Train, and be killed some time after a moment has begun; False if it came to its end."""
        if self.start(name, moment, seconds) == 0:
            return False
        place = self.place / f"{name}-work.killed"
        self.counts[place.read_text()] = self.counts.get(place.read_text(), 0) + 1
        return True


@pytest.fixture
def killed(prepared_checkout, tmp_path, monkeypatch):
    monkeypatch.chdir(prepared_checkout.root)
    return Killed(prepared_checkout.root, tmp_path)


@pytest.mark.parametrize("half", [0, 1])
def test_kills_change_no_bit(killed, half):
    """Two trainings, so that two cores have something to do."""
    assert killed.start("whole") == 0
    draw = random.Random(half)
    for kill in range(KILLS_OF_EACH):
        # while it saves, while it validates, and anywhere
        moment = ("save", "validate", "step", "start")[kill % 4]
        pause = {"save": 0.01, "validate": 0.2, "step": 1.0, "start": 6.0}[moment]
        if not killed.kill_at("broken", moment, draw.uniform(0, pause)):
            break
    else:
        assert killed.start("broken") == 0
    print(f"killed {sum(killed.counts.values())} times: {killed.counts}")
    assert sum(killed.counts.values()) >= 0.75 * KILLS_OF_EACH
    assert {"save", "validate"} <= killed.counts.keys()
    histories = [(killed.place / name / "history.csv").read_text() for name in ("whole", "broken")]
    assert histories[0] == histories[1]
    whole, broken = (
        torch.load(killed.place / name / "best.pth", weights_only=True)["state_dict"]
        for name in ("whole", "broken")
    )
    assert whole.keys() == broken.keys()
    assert all(torch.equal(whole[key], broken[key]) for key in whole)
