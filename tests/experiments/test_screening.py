"""An experiment with `screening`: brief trainings first, then only the best to their ends."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
from helpers import ROOT, Checkout

EXPERIMENT = """
experiment: screened
dataset: tiny_rural.yaml
models:
  cgnet: cgnet_fcn_4xb8-60k_cityscapes-512x1024
  fast_scnn: fast_scnn_8xb4-160k_cityscapes-512x1024
  pidnet_s: pidnet-s_2xb6-120k_1024x1024-cityscapes
seeds: [0, 1]
training: {precision: float32, crop_size: [64, 64], batch_size: 2, max_iters: 12, val_interval: 3}
gallery_images: 2
screening: {keep: 1, first: 0.25}
"""
TRAIN = """
import sys
from pathlib import Path
from segbench.engine.execution import Execution
from segbench.engine.train import train
train(*map(Path, sys.argv[1:5]), "code", Execution(threads=2))
"""
COMMAND = ("--cores", "2", "--configfile", "screened.yaml")


def rules(said: str) -> dict[str, int]:
    """How many jobs of each rule a dry run plans."""
    table = said[: said.index("total ")]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


def planned(checkout: Checkout) -> dict[str, int]:
    return rules(checkout.run("-n", *COMMAND, expect=0).stdout)


@pytest.fixture(scope="module")
def screened(tmp_path_factory):
    """A checkout in which both stages ran, and what the first one said."""
    checkout = Checkout.copy_of(ROOT, tmp_path_factory.mktemp("screened") / "checkout")
    shutil.copy(ROOT / "tests/tiny_rural.yaml", checkout.root)
    (checkout.root / "screened.yaml").write_text(EXPERIMENT)
    first = checkout.run(*COMMAND, expect=0)
    assert not (checkout.root / "results/screened/README.md").exists()
    checkout.run(*COMMAND, expect=0)
    return checkout, first.stdout + first.stderr


def decision(checkout: Checkout) -> dict:
    return json.loads((checkout.root / "results/screened/screening/decision.json").read_text())


def test_the_first_stage_halves_and_says_what_comes_next(screened):
    checkout, said = screened
    first, second = decision(checkout)["rounds"]
    assert [one["iteration"] for one in first["trainings"]] == [3, 3, 3]
    assert [one["iteration"] for one in second["trainings"]] == [6, 6]
    scores = {one["candidate"]: max(s for _, s in one["curve"]) for one in first["trainings"]}
    assert first["kept"] == sorted(scores, key=lambda name: -scores[name])[:2]
    (winner,) = second["kept"]
    assert f"left of 3 candidates: {winner}. Run the same command again" in said


def test_the_second_stage_compares_what_is_left_with_all_seeds(screened):
    checkout, _ = screened
    results = checkout.root / "results/screened"
    (winner,) = decision(checkout)["rounds"][-1]["kept"]
    with (results / "tables/runs.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert {f"{row['model']}/{row['initialization']}" for row in rows} == {winner}
    assert [row["seed"] for row in rows] == ["0", "1"]
    readme = (results / "README.md").read_text()
    assert "Before, 3 candidates were screened" in readme
    # 1, a half and a quarter, of three
    assert "58 % of the iterations" in readme
    assert "screening.svg" in (results / "report.html").read_text(errors="replace")
    verified = subprocess.run(
        [sys.executable, "-m", "segbench", "verify", "screened"], cwd=checkout.root,
        env=os.environ | {"PYTHONPATH": str(checkout.root / "workflow/scripts")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr
    assert "Nothing to be done" in checkout.run(*COMMAND, expect=0).stderr


def test_who_goes_on_ends_as_if_it_had_never_paused(screened, tmp_path):
    checkout, _ = screened
    (winner,) = decision(checkout)["rounds"][-1]["kept"]
    run = checkout.root / f"results/screened/runs/{winner}/seed0"
    sessions = json.loads((run / "train.json").read_text())["sessions"]
    assert [one["to_iteration"] for one in sessions] == [3, 6, 12]
    manifest = checkout.root / "results/datasets/tiny_rural/manifest.json"
    (tmp_path / "straight").mkdir()
    words = [run / "config.py", manifest, tmp_path / "straight", tmp_path / "work"]
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TRAIN, *map(str, words)], cwd=checkout.root,
        check=True, capture_output=True,
    )  # fmt: skip
    assert (tmp_path / "straight/history.csv").read_text() == (run / "history.csv").read_text()
    ours, straight = (
        torch.load(folder / "best.pth", weights_only=True)["state_dict"]
        for folder in (run, tmp_path / "straight")
    )
    assert ours.keys() == straight.keys()
    assert all(torch.equal(ours[key], straight[key]) for key in ours)


def test_another_candidate_is_screened_and_the_others_keep_their_trainings(screened, tmp_path):
    checkout = screened[0].with_results(tmp_path / "copy")
    checkout.edit(
        "screened.yaml",
        "  pidnet_s",
        "  cgnet_too: cgnet_fcn_4xb8-60k_cityscapes-512x1024\n  pidnet_s",
    )
    jobs = planned(checkout)
    assert jobs["screen_run"] == 1
    assert "train_run" not in jobs
    checkout.edit("screened.yaml", "keep: 1", "keep: 4")
    refused = checkout.run("-n", *COMMAND)
    assert refused.returncode != 0
    assert "`screening.keep`: 4 of 4 candidates" in refused.stdout + refused.stderr


def test_without_screening_all_are_trained_and_what_is_trained_goes_on(screened, tmp_path):
    checkout = screened[0].with_results(tmp_path / "copy")
    checkout.edit("screened.yaml", "screening: {keep: 1, first: 0.25}\n", "")
    # two of the six are finished; the two that were dropped are among those that go on
    assert planned(checkout)["train_run"] == 4


def test_a_setting_that_changes_trainings_decides_anew(screened, tmp_path):
    checkout = screened[0].with_results(tmp_path / "copy")
    checkout.edit("screened.yaml", "batch_size: 2", "batch_size: 4")
    assert planned(checkout)["screen_run"] == 3
