"""Options of a training, really trained on a few images: what they change, and that they resume."""

import json
import math
import multiprocessing
import os
import re
import signal
import subprocess
import time

import pytest
import torch
from helpers import recipe_of

from segbench.engine import precision as deciding
from segbench.engine import train as training
from segbench.engine import trainer
from segbench.engine.execution import Execution
from segbench.engine.sampling import index_at
from segbench.errors import ModelError
from segbench.recipe.render import render
from segbench.system.stop import StoppedError
from segbench.zoo.names import config_path

CGNET = "cgnet_fcn_4xb8-60k_cityscapes-512x1024"


@pytest.fixture
def train(finished, tmp_path, monkeypatch):
    """Train CGNet with some options; gives the record, the best weights and the history."""
    monkeypatch.chdir(finished.root)
    monkeypatch.setattr(deciding, "mixed_precision_of", lambda device: "bfloat16")
    monkeypatch.setattr(deciding, "IN_FLOAT32", 3)
    manifest = finished.root.joinpath("results/datasets/tiny_rural/manifest.json")
    manifest = manifest.relative_to(finished.root)

    def run(name="run", **options):
        settings = {
            "crop_size": (64, 64), "batch_size": 2, "max_iters": 6, "val_interval": 3,
            "precision": "float32",  # a trial of so small a step may end either way
        } | options  # fmt: skip
        wanted = recipe_of(run=name, initialization="scratch", seed=0, **settings)
        config = tmp_path / f"{name}.py"
        config.write_text(render(config_path(CGNET), manifest, wanted))
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        training.train(
            config, manifest, folder, tmp_path / f"work-{name}", "code", Execution(threads=2)
        )
        weights = torch.load(folder / "best.pth", weights_only=True)["state_dict"]
        return json.loads((folder / "train.json").read_text()), weights

    return run


def test_a_training_that_no_longer_improves_ends(train):
    # nothing is learnt at such a rate; only the statistics of batch norm still move at first
    record, _ = train(learning_rate=1e-30, max_iters=40, val_interval=2, early_stopping=3)
    assert record["iterations"] == record["best_iteration"] + 3 * 2
    assert record["iterations"] < 20
    assert record["planned_iterations"] == 40


def test_epochs_are_passes_over_the_training_images(train):
    record, _ = train(max_iters=None, epochs=1, val_interval=4)
    assert record["iterations"] == math.ceil(16 / 2)


def test_an_average_of_the_weights_is_what_is_kept(train):
    _, plain = train("plain", val_interval=6)
    _, average = train("average", val_interval=6, ema=0.9)
    changed = [key for key in plain if not torch.equal(plain[key], average[key])]
    assert any(key.endswith("conv_seg.weight") for key in changed)
    # statistics of batch norm are those of the model itself
    assert not [key for key in changed if "running_" in key or "num_batches" in key]


def test_results_with_a_record_of_another_version_are_made_again(train, tmp_path):
    _, before = train()
    (path,) = tmp_path.glob("work-run/*/train.json")
    path.write_text(path.read_text().replace('"form": 1', '"form": 0'))
    record, after = train()
    assert record["form"] == 1
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "bfloat16"},
        {"precision": "float16"},
        {"precision": "auto"},
        {"ema": 0.99},
        {"growing_crop": 0.5},
    ],
)
def test_an_interrupted_training_ends_with_the_same_weights(train, monkeypatch, options):
    chosen, other = "bfloat16", "float32"
    monkeypatch.setattr(deciding, "faster", lambda seconds, mixed: chosen)
    _, whole = train("whole", **options)
    seed = trainer._seed_everything

    def interrupted(run_seed, iteration, *rank):
        if iteration == 4:
            # a training goes on in the precision that it began with, wherever it goes on
            monkeypatch.setattr(trainer, "precision_of", lambda *a, **k: other)
            raise KeyboardInterrupt
        seed(run_seed, iteration, *rank)

    monkeypatch.setattr(trainer, "_seed_everything", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train("broken", **options)
    monkeypatch.setattr(trainer, "_seed_everything", seed)
    _, resumed = train("broken", **options)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_mixed_precision_begins_once_the_first_gradients_have_passed(train):
    """Random weights have gradients that change with the last bit of a map."""
    weights = {}
    for precision in ("float32", "bfloat16"):
        for last in (3, 4):
            _, weights[precision, last] = train(
                f"{precision}-{last}", precision=precision, max_iters=last, val_interval=last,
                overrides={"param_scheduler": []},
            )  # fmt: skip
    key = "backbone.stem.0.conv.weight"
    assert torch.equal(weights["float32", 3][key], weights["bfloat16", 3][key])
    assert not torch.equal(weights["float32", 4][key], weights["bfloat16", 4][key])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_training_with_its_state_saved(train, monkeypatch, tmp_path, number):
    """Between two rows of the history, which must not show that the training was interrupted."""
    _, whole = train("whole", max_iters=14, val_interval=14)
    history = (tmp_path / "whole/history.csv").read_text()
    seed = trainer._seed_everything

    def interrupted(run_seed, iteration, *rank):
        if iteration == 4:
            # of a session, or a job, all processes get it, and not from each other
            readers = [str(reader.pid) for reader in multiprocessing.active_children()]
            subprocess.run(["kill", f"-{number}", *readers, str(os.getpid())], check=True)
            time.sleep(0.2)
        seed(run_seed, iteration, *rank)

    monkeypatch.setattr(trainer, "_seed_everything", interrupted)
    with pytest.raises(
        StoppedError, match=rf"{number.name} after iteration [45], its state is saved"
    ):
        train("broken", max_iters=14, val_interval=14)
    monkeypatch.setattr(trainer, "_seed_everything", seed)
    _, resumed = train("broken", max_iters=14, val_interval=14)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
    assert (tmp_path / "broken/history.csv").read_text() == history


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_trains_about_the_same(train, precision):
    full, _ = train("full", max_iters=12, val_interval=12)
    mixed, weights = train("mixed", max_iters=12, val_interval=12, precision=precision)
    assert mixed["precision"] == precision
    assert full["precision"] == "float32"
    # weights stay in float32, so that every score is computed in it
    assert {value.dtype for value in weights.values()} <= {torch.float32, torch.int64}
    assert abs(full["best_val_miou"] - mixed["best_val_miou"]) < 0.1


def test_a_loss_that_is_not_a_number_is_said_with_its_iteration_and_images(train, finished):
    with pytest.raises(ModelError) as caught:
        train("astray", learning_rate=1e30, max_iters=20, val_interval=20)
    found = re.search(
        r"astray: the loss is (nan|inf) at iteration (\d+) \(learning rate \S+; images (.*)\)\. L",
        str(caught.value),
    )
    assert found
    # the images of that iteration are two of the epoch's permutation, worked out here
    frames = (finished.root / "results/datasets/tiny_rural/splits/train.txt").read_text().split()
    place = 2 * (int(found[2]) - 1)
    expected = [frames[index_at(0, p, len(frames))] for p in (place, place + 1)]
    assert [name.rpartition(".")[0] for name in found[3].split(", ")] == expected
