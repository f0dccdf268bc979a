"""Predictions of other tools beside the models that are trained here."""

import cv2
import numpy as np
import pandas as pd
import pytest

from segbench.plan.chosen_run import chosen_run
from segbench.report.verify import verify

RUN = ("--cores", "2", "--configfile", "smallest.yaml")
DATASET = "results/datasets/tiny_rural"


@pytest.fixture
def with_friend(finished_copy):
    """A checkout with the predictions of a friend, who knows the truth but for void."""
    folder = finished_copy.root / "friend"
    folder.mkdir()
    for path in (finished_copy.root / DATASET / "val_label").glob("*.png"):
        ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(folder / f"{path.stem}_pred.png"), np.where(ids == 255, 0, ids))
    text = (finished_copy.root / "smallest.yaml").read_text()
    external = 'external: {friend: {predictions: friend, files: "{frame}_pred.png"}}\n'
    (finished_copy.root / "smallest.yaml").write_text(text + external)
    return finished_copy


def test_they_stand_in_tables_figures_and_the_report(with_friend):
    rules = set(with_friend.pending(*RUN).values())
    assert rules == {"score_predictions", "compare_tables", "compare_figures", "compare_page"}
    with_friend.run(*RUN, expect=0)
    results = with_friend.root / "results/smallest"
    models = pd.read_csv(results / "tables/models.csv")
    assert len(models) == 3
    best = models.iloc[0]
    assert (best["model"], best["initialization"], best["miou"]) == ("friend", "external", 1.0)
    assert np.isnan([best["params"], best["latency_ms"], best["flops"]]).all()
    page = (results / "README.md").read_text()
    assert "**friend (external)** reaches 100.0 % mean IoU" in page
    assert "friend\\: not known, predicted elsewhere" in page
    assert "`friend` were made with other tools" in (results / "tables/methods.md").read_text()
    assert "friend" in (results / "report.html").read_text()
    assert with_friend.pending(*RUN) == {}
    assert verify(results)
    # it has the best scores, but only a model that was trained here can predict
    assert "friend" not in str(chosen_run(str(results)))
    # another file time or name is a reason to score again, and nothing else
    (with_friend.root / "friend/more.png").touch()
    assert set(with_friend.pending(*RUN).values()) == rules


def test_what_is_wrong_is_said_at_once_and_leaves_the_trained_models_alone(with_friend):
    folder = with_friend.root / "friend"
    first, second, *_ = sorted(folder.iterdir())
    first.unlink()
    done = with_friend.run(*RUN, expect=1)
    assert "1 of 8 images have no file" in done.stderr
    ids = cv2.imread(str(second), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(first), ids.T)
    ids[0, 0] = 77
    cv2.imwrite(str(second), ids)
    done = with_friend.run(*RUN, expect=1)
    assert "1 of 8 files: each has values that are no class (classes are 0 to 6)" in done.stderr
    assert "1 of 8 files: each has another shape than its label" in done.stderr
    assert "Traceback" not in done.stderr
    assert (with_friend.root / "results/smallest/runs/cgnet/scratch/seed0/best.pth").is_file()


def test_a_class_is_not_taken_for_none(with_friend):
    with_friend.edit("smallest.yaml", "predictions: friend,", "predictions: friend, no_class: 6,")
    done = with_friend.run("-n", *RUN, expect=1)
    assert "`external.friend.no_class`: 6 is the class 'sky'" in done.stdout
    assert "Name a value from 7 on" in done.stdout


def test_a_folder_that_is_not_there_is_refused_by_the_dry_run(with_friend):
    (with_friend.root / "friend").rename(with_friend.root / "foe")
    done = with_friend.run("-n", *RUN, expect=1)
    assert "config: `external.friend`: no such folder: 'friend' (looked in " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
