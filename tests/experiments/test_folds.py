"""Cross-validation, really trained: every frame is scored once, and the folds are compared."""

import json

import numpy as np
import pandas as pd
import yaml
from helpers import ROOT


def train_folds(checkout, folds):
    """Train one model for two iterations in each fold, and compare."""
    rural = (ROOT / "tests/tiny_rural.yaml").read_text()
    (checkout.root / "tiny_rural.yaml").write_text(f"{rural}splits: {{folds: {folds}}}\n")
    smallest = yaml.safe_load((ROOT / "tests/smallest.yaml").read_text())
    smallest["models"] = {"fast_scnn": smallest["models"]["fast_scnn"]}
    smallest["training"] |= {"max_iters": 2, "val_interval": 2}
    (checkout.root / "folds.yaml").write_text(yaml.safe_dump(smallest))
    checkout.run("--cores", "2", "--configfile", "folds.yaml", expect=0)


def test_every_frame_is_scored_in_its_fold_and_the_spread_is_shown(checkout):
    train_folds(checkout, "3")

    runs = checkout.root / "results/smallest/runs/fast_scnn/scratch"
    assert sorted(path.name for path in runs.iterdir()) == [
        "seed0-fold0", "seed0-fold1", "seed0-fold2",
    ]  # fmt: skip
    scored = []
    for folder in runs.iterdir():
        with np.load(folder / "confusion.npz") as stored:
            scored += stored["names"].tolist()
    # 16 drawn frames of one split and 8 of the other, in three drives
    assert len(scored) == len(set(scored)) == 24
    drives = {folder.name: _drives(checkout.root, folder.name[-1]) for folder in runs.iterdir()}
    assert all(len(drive) == 1 for drive in drives.values())

    tables = checkout.root / "results/smallest/tables"
    (row,) = pd.read_csv(tables / "models.csv").to_dict("records")
    per_run = pd.read_csv(tables / "runs.csv").set_index("fold")["miou"]
    assert (row["runs"], row["repeated_over"], row["images"]) == (3, "folds", 24)
    assert sorted(per_run.index) == [0, 1, 2]
    assert np.isclose(row["miou"], per_run.mean())
    assert np.isclose(row["miou_std"], per_run.std(ddof=1))
    assert "± over folds" in (tables / "models.md").read_text()
    record = json.loads((runs / "seed0-fold1/train.json").read_text())
    assert record["run"] == "fast_scnn/scratch/seed0-fold1"
    picture = checkout.root / "results/smallest/gallery/predictions.png"
    assert picture.stat().st_size > 5000


def test_with_a_test_split_all_folds_are_scored_on_the_same_images(checkout):
    train_folds(checkout, "{count: 2, test: 0.3}")
    results = checkout.root / "results/smallest"
    lists = checkout.root / "results/datasets/tiny_rural/splits"
    test = (lists / "test.txt").read_text().split()
    for fold in range(2):
        with np.load(results / f"runs/fast_scnn/scratch/seed0-fold{fold}/confusion.npz") as stored:
            assert stored["names"].tolist() == test
        seen = (lists / f"fold{fold}/train.txt").read_text().split()
        assert not set(seen) & set(test)
    (row,) = pd.read_csv(results / "tables/models.csv").to_dict("records")
    assert (row["runs"], row["repeated_over"], row["images"]) == (2, "folds", len(test))
    page = (results / "README.md").read_text()
    assert "mean IoU on the test images" in page
    assert "over images and folds" in page


def _drives(root, fold):
    lines = (root / f"results/datasets/tiny_rural/splits/fold{fold}/val.txt").read_text().split()
    return {name.split("__")[0] for name in lines}
