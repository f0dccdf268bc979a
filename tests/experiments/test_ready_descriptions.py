"""Every ready description goes through the workflow's own preparation and checks."""

import json
from pathlib import Path

import cv2
import pytest
import yaml
from helpers import ROOT, Checkout
from layouts import MAKERS, as_archive

ARCHIVES = {"idd_lite", "voc"}  # those that are published as one archive
# those with which a model is checked, too; that costs seconds, and takes nothing but the classes
WITH_A_MODEL = {"idd20k2_level1", "voc"}
EXPERIMENT = {
    "experiment": "ready",
    "models": {"cgnet": "cgnet_fcn_4xb8-60k_cityscapes-512x1024"},
    "training": {"crop_size": [64, 64], "batch_size": 2, "max_iters": 2},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One checkout for all, as a user has who compares on several datasets."""
    return Checkout.copy_of(ROOT, tmp_path_factory.mktemp("ready") / "checkout")


@pytest.mark.parametrize("name", MAKERS)
def test_prepare_and_check_run_on_the_real_layout(name: str, shared: Checkout, tmp_path: Path):
    expected = MAKERS[name](tmp_path / "raw")
    place = tmp_path / "raw"
    if name in ARCHIVES:
        place = as_archive(place, tmp_path / "raw.tar")
    experiment = EXPERIMENT | {
        "experiment": f"ready_{name}",
        "dataset": f"config/datasets/{name}.yaml",
        "dataset_sources": {name: str(place)},
    }
    (shared.root / "ready.yaml").write_text(yaml.safe_dump(experiment))
    folder = shared.root / f"results/datasets/{name}"
    target = "check" if name in WITH_A_MODEL else f"results/datasets/{name}/card/card.html"
    shared.run("--cores", "2", target, "--configfile", "ready.yaml", expect=0)

    found = {
        (side, path.stem): cv2.imread(str(path), cv2.IMREAD_UNCHANGED).tolist()
        for side in ("train", "val", "test")
        for path in (folder / f"{side}_label").glob("*.png")
    }
    assert found == {key: label.tolist() for key, label in expected.items()}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert sum(side["images"] for side in manifest["splits"].values()) == len(expected)
    # three images are few, which is said, and nothing stands in the way of a training
    warnings = json.loads((folder / "check.json").read_text())["warnings"]
    assert "few-scored-images" in {warning["code"] for warning in warnings}
    is_passed = (shared.root / f"results/ready_{name}/check/passed").exists()
    assert is_passed == (name in WITH_A_MODEL)
