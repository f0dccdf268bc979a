"""With a test split models are compared on it, and nothing of it reaches a training."""

import json
import shutil

import cv2
import numpy as np
import pytest
import yaml
from helpers import ROOT, Checkout

RUN = "results/tested/runs/cgnet/scratch/seed0"


@pytest.fixture(scope="module")
def tested(finished, tmp_path_factory) -> Checkout:
    """An experiment whose images are drawn to three splits, run to its tables."""
    checkout = Checkout.copy_of(ROOT, tmp_path_factory.mktemp("tested") / "checkout")
    prepared = finished.root / "results/datasets/tiny_rural"
    for kind in ("img", "label"):
        target = checkout.root / "raw" / kind
        target.mkdir(parents=True)
        for path in prepared.glob(f"*_{kind}/*"):
            shutil.copyfile(path, target / path.name)
    manifest = json.loads((prepared / "manifest.json").read_text())
    description = {
        "name": "own", "source": "raw", "images": "img/{frame}.jpg",
        "labels": {"format": "index", "path": "label/{frame}.png"},
        "splits": {"random": {"val": 0.25, "test": 0.25}},
        "classes": {"classes": manifest["classes"]},
    }  # fmt: skip
    experiment = {
        "experiment": "tested", "dataset": "own.yaml", "seeds": [0],
        "models": {"cgnet": "cgnet_fcn_4xb8-60k_cityscapes-512x1024"}, "gallery_images": 2,
        "training": {
            "precision": "float32", "crop_size": [64, 64], "batch_size": 2, "max_iters": 4,
            "val_interval": 2,
        },
    }  # fmt: skip
    (checkout.root / "own.yaml").write_text(yaml.safe_dump(description))
    (checkout.root / "tested.yaml").write_text(yaml.safe_dump(experiment))
    checkout.run("--cores", "2", "--configfile", "tested.yaml", expect=0)
    return checkout


def test_the_scores_are_of_the_test_images(tested):
    listed = (tested.root / "results/datasets/own/splits/test.txt").read_text().split()
    assert len(listed) == 6
    with np.load(tested.root / RUN / "confusion.npz") as stored:
        assert stored["names"].tolist() == listed
        counts = stored["confusion"]
    labels = [
        cv2.imread(str(tested.root / f"raw/label/{name}.png"), cv2.IMREAD_UNCHANGED)
        for name in listed
    ]
    # rows of a confusion matrix are the truth
    truth = [np.bincount(label[label != 255], minlength=counts.shape[1]) for label in labels]
    assert (counts.sum(2) == truth).all()
    scores = json.loads((tested.root / RUN / "metrics.json").read_text())
    assert (scores["split"], scores["images"]) == ("test", 6)


def test_everything_that_is_read_says_so(tested):
    page = (tested.root / "results/tested/README.md").read_text()
    assert "mean IoU on the test images of own" in page
    assert "12 training and 6 validation and 6 test images" in page
    assert "chosen on the validation images, which are others than the test images" in page
    assert "optimistic" not in page
    table = (tested.root / "results/tested/tables/models.md").read_text()
    assert "present in the test images" in table


def test_other_test_labels_change_scores_and_no_training(tested):
    weights = tested.root / RUN / "best.pth"
    before = weights.read_bytes(), (tested.root / RUN / "metrics.json").read_bytes()
    name = (tested.root / "results/datasets/own/splits/test.txt").read_text().split()[0]
    label = tested.root / f"raw/label/{name}.png"
    values = cv2.imread(str(label), cv2.IMREAD_UNCHANGED)
    # upside down, so that no class comes or goes and the draw of the splits is the same
    label.write_bytes(cv2.imencode(".png", values[::-1])[1].tobytes())
    done = tested.run("--cores", "2", "--configfile", "tested.yaml", expect=0)
    assert weights.read_bytes() == before[0]
    assert (tested.root / RUN / "metrics.json").read_bytes() != before[1]
    log = (tested.root / "results/logs/train_run/tested/cgnet_scratch_0.log").read_text()
    assert "trained before with the same settings, results reused" in log or (
        "rule train_run" not in done.stderr
    )
