"""States are saved by the clock: when, what a kill costs, and that the value reaches the job."""

from types import SimpleNamespace

import pytest
import torch
from helpers import recipe_of

from segbench.engine import train as training
from segbench.engine import trainer
from segbench.engine.execution import Execution
from segbench.engine.state import TrainingState
from segbench.recipe.render import render
from segbench.zoo.names import config_path

CGNET = "cgnet_fcn_4xb8-60k_cityscapes-512x1024"
SECONDS_PER_ITERATION = 10
ITERATIONS = 14


class Killed(BaseException):
    """Stands for a kill: nothing catches it, so nothing is saved on the way out."""


@pytest.fixture
def slow(finished, tmp_path, monkeypatch):
    """Train CGNet by a clock on which an iteration takes ten seconds.

    Gives the iterations that were begun and saved, and the best weights unless it was killed.
    """
    monkeypatch.chdir(finished.root)
    manifest = finished.root.joinpath("results/datasets/tiny_rural/manifest.json")
    manifest = manifest.relative_to(finished.root)
    config = tmp_path / "config.py"
    wanted = recipe_of(
        run="run", initialization="scratch", seed=0, crop_size=(64, 64), batch_size=2,
        max_iters=ITERATIONS, val_interval=ITERATIONS, precision="float32",
    )  # fmt: skip
    config.write_text(render(config_path(CGNET), manifest, wanted))
    seed, save = trainer._seed_everything, TrainingState.save
    now, begun, saved = [0.0], [], []

    def run(name, kill_at=None, **how):
        def counted(run_seed, iteration, *rank):
            if iteration == kill_at:
                raise Killed
            begun.append(iteration)
            now[0] += SECONDS_PER_ITERATION
            seed(run_seed, iteration, *rank)

        def noted(state, *parts):
            saved.append(state.iteration)
            save(state, *parts)

        begun.clear()
        saved.clear()
        monkeypatch.setattr(trainer, "time", SimpleNamespace(monotonic=lambda: now[0]))
        monkeypatch.setattr(trainer, "_seed_everything", counted)
        monkeypatch.setattr(TrainingState, "save", noted)
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        work = tmp_path / f"work-{name}"
        training.train(config, manifest, folder, work, "code", Execution(threads=2, **how))
        weights = torch.load(folder / "best.pth", weights_only=True)["state_dict"]
        return list(begun), list(saved), weights

    return SimpleNamespace(run=run, begun=begun, saved=saved)


def test_a_state_is_saved_whenever_so_many_minutes_have_passed(slow):
    # 0.65 minutes are 39 seconds: over after the fourth iteration, the eighth and the twelfth
    _, saved, _ = slow.run("often", save_minutes=0.65)
    assert saved == [4, 8, 12, ITERATIONS]


def test_left_out_it_is_five_minutes(slow):
    # the whole training takes 140 seconds, so only its validation saves
    _, saved, _ = slow.run("seldom")
    assert saved == [ITERATIONS]


def test_a_kill_costs_what_was_done_since_the_last_save_and_changes_nothing(slow):
    _, _, whole = slow.run("whole")
    with pytest.raises(Killed):
        slow.run("killed", save_minutes=0.65, kill_at=10)
    assert slow.saved == [4, 8]
    # another value goes on with the same training
    begun, _, resumed = slow.run("killed", save_minutes=1440)
    assert begun == list(range(8, ITERATIONS))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_how_each_model_is_trained_reaches_its_job(finished_copy):
    """The script is replaced by one that notes what it is given."""
    finished_copy.edit(
        "smallest.yaml", "val_interval: 3}", "val_interval: 3, save_minutes: 7, decoded_gb: 0}"
    )
    finished_copy.edit(
        "smallest.yaml",
        "cgnet: cgnet_fcn_4xb8-60k_cityscapes-512x1024",
        f"cgnet: {{config: {CGNET}, training: {{save_minutes: 0.5}}}}",
    )
    (finished_copy.root / "workflow/scripts/train_run.py").write_text(
        "from pathlib import Path\n"
        "for path in snakemake.output:\n"
        "    Path(path).write_text(str(snakemake.params.how))\n"
    )
    finished_copy.run("--cores", "2", "train", "--configfile", "smallest.yaml", expect=0)
    results = finished_copy.root / "results/smallest/runs"
    given = {path.parts[-4]: path.read_text() for path in results.glob("*/*/*/history.csv")}
    assert given == {
        "cgnet": "{'save_minutes': 0.5, 'decoded_gb': 0.0}",
        "fast_scnn": "{'save_minutes': 7.0, 'decoded_gb': 0.0}",
    }
