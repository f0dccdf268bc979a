"""Reports of several experiments, and of the workflow as a module."""

import os
import random
import shutil

import pandas as pd
import pytest
from helpers import Checkout

from segbench.report.verify import verify


def test_a_second_experiment_leaves_the_report_of_the_first_alone(finished_copy):
    first = finished_copy.root / "results/smallest/report.html"
    before = first.read_bytes()
    finished_copy.edit("smallest.yaml", "experiment: smallest", "experiment: second")
    # what trains is the same, so the states of the first are taken
    finished_copy.run("--cores", "2", "--configfile", "smallest.yaml", expect=0)
    assert first.read_bytes() == before
    second = (finished_copy.root / "results/second/report.html").read_text()
    assert "no result yet" not in second
    page = (finished_copy.root / "results/report.html").read_text()
    assert 'href="second/report.html"' in page


def test_a_module_of_another_workflow_has_a_report(finished_copy, tmp_path):
    outer = Checkout(tmp_path / "outer")
    outer.root.mkdir()
    shutil.move(finished_copy.root / "results", outer.root / "results")
    shutil.move(finished_copy.root / "resources", outer.root / "resources")
    for name in ("smallest.yaml", "tiny_rural.yaml"):
        shutil.copy(finished_copy.root / name, outer.root)
    shutil.copytree(finished_copy.root / "config/classes", outer.root / "config/classes")
    report = outer.root / "results/smallest/report.html"
    report.unlink()
    (outer.root / "Snakefile").write_text(
        "module segbench:\n"
        f'    snakefile: "{finished_copy.root}/Snakefile"\n'
        "    config: config\n"
        "use rule * from segbench\n"
        "rule everything:\n"
        "    default_target: True\n"
        "    input: rules.all.input\n"
    )
    profile = str(finished_copy.root / "profiles/default")
    outer.run(
        "--cores", "2", "--configfile", "smallest.yaml", "--workflow-profile", profile, expect=0
    )  # fmt: skip
    assert "mean IoU" in report.read_text()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_copy_of_results_with_new_times_is_taken_as_it_is(finished_copy, seed):
    """As after `cp -r`, an unpacked archive or a network drive, without Snakemake's own records."""
    shutil.rmtree(finished_copy.root / ".snakemake")
    files = sorted(
        path
        for top in ("results", "resources")
        for path in (finished_copy.root / top).rglob("*")
        if not path.is_symlink()
    )
    random.Random(seed).shuffle(files)
    for age, path in enumerate(files):
        os.utime(path, (1_700_000_000 + age, 1_700_000_000 + age))
    said = finished_copy.run("-n", "--configfile", "smallest.yaml", expect=0)
    assert "Nothing to be done" in said.stdout + said.stderr
    finished_copy.edit("smallest.yaml", "max_iters: 6", "max_iters: 9")
    assert "train_run" in finished_copy.run("-n", "--configfile", "smallest.yaml").stdout


def test_a_plan_says_which_trainings_are_only_linked(finished_copy):
    run = finished_copy.root / "results/smallest/runs/cgnet/scratch/seed0"
    (run / "best.pth").unlink()
    # its scores are there, so nothing needs it
    said = finished_copy.run("-n", "--configfile", "smallest.yaml", expect=0)
    assert "only linked" not in said.stderr
    (run / "metrics.json").unlink()
    said = finished_copy.run("-n", "--configfile", "smallest.yaml", expect=0)
    sentence = "Trained before with the same settings, and only linked: cgnet/scratch/seed0\n"
    assert sentence in said.stderr
    finished_copy.edit("smallest.yaml", "max_iters: 6", "max_iters: 9")
    said = finished_copy.run("-n", "--configfile", "smallest.yaml", expect=0)
    assert "only linked" not in said.stderr


def test_parts_of_the_users_own_are_scored_without_training(finished_copy):
    frames = pd.read_csv(finished_copy.root / "results/datasets/tiny_rural/frames.csv")
    scored = frames[frames["split"] == "val"]["name"].tolist()
    rows = [f"{name},{'sun' if i < 5 else 'rain'}" for i, name in enumerate(scored)]
    table = finished_copy.root / "weather.csv"
    table.write_text("\n".join(["image,weather", *rows[1:]]))
    slices = ("--cores", "2", "--configfile", "smallest.yaml", "--config", "slices=weather.csv")
    done = finished_copy.run(*slices, expect=1)
    assert f"1 of {len(scored)} images that are scored have no row: '{scored[0]}'" in done.stderr
    table.write_text("\n".join(["image,weather", *rows]))
    made = {"place_slices", "compare_tables", "compare_figures", "compare_page"}
    assert set(finished_copy.pending(*slices).values()) == made
    finished_copy.run(*slices, expect=0)
    written = pd.read_csv(finished_copy.root / "results/smallest/tables/slices.csv")
    own = written[written["by"] == "weather"]
    # of fewer than five images a bootstrap says little
    assert set(zip(own["part"], own["images"], strict=True)) == {("sun", 5)}
    assert verify(finished_copy.root / "results/smallest")
