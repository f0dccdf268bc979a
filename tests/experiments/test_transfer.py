"""Runs that start from another dataset: really trained, and evaluated through a class map."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from helpers import ROOT, Checkout
from PIL import Image

FAST_SCNN = "fast_scnn_8xb4-160k_cityscapes-512x1024"
RUNS = "results/transfer/runs/fast_scnn"


@pytest.fixture(scope="module")
def transferred(tmp_path_factory):
    """A checkout in which a model learnt urban roads, and then rural ones."""
    checkout = Checkout.copy_of(ROOT, tmp_path_factory.mktemp("transfer") / "checkout")
    for name in ("transfer.yaml", "tiny_rural.yaml", "tiny_urban.yaml"):
        shutil.copy(ROOT / "tests" / name, checkout.root / name)
    checkout.run("--cores", "2", "--configfile", "transfer.yaml", expect=0)
    return checkout


def test_the_source_is_trained_once_and_shared(transferred):
    jobs = transferred.dag("--configfile", "transfer.yaml")
    assert (jobs["train_run"], jobs["take_checkpoint"], jobs["evaluate_run"]) == (3, 1, 3)
    assert transferred.pending("--configfile", "transfer.yaml") == {}
    taken, source = (
        torch.load(transferred.root / RUNS / f"{name}/seed0/best.pth", weights_only=True)
        for name in ("zero_shot", "source")
    )
    assert taken["state_dict"].keys() == source["state_dict"].keys()
    for key, value in source["state_dict"].items():
        assert torch.equal(taken["state_dict"][key], value), key


def test_another_name_for_a_class_of_both_datasets_trains_nothing(transferred, tmp_path):
    target = tmp_path / "copy"
    shutil.copytree(transferred.root, target, symlinks=True, copy_function=shutil.copy2)
    copy = Checkout(target)
    copy.edit("config/classes/idd_level1.yaml", "name: drivable", "name: where cars drive")
    rules = set(copy.pending("--configfile", "transfer.yaml").values())
    assert rules == {"describe_dataset", "compare_tables", "compare_figures", "compare_page"}


def test_records_say_what_every_run_started_from(transferred):
    record = {
        name: json.loads((transferred.root / RUNS / f"{name}/seed0/train.json").read_text())
        for name in ("source", "scratch", "finetuned", "zero_shot")
    }
    assert record["source"]["dataset"] == "tiny_urban"
    assert record["source"]["iterations"] == 8
    assert record["scratch"]["weights"] == "all random"
    assert (
        "entries loaded; class rows kept: drivable, non-drivable" in record["finetuned"]["weights"]
    )
    assert record["finetuned"]["iterations"] == 6
    assert record["zero_shot"]["iterations"] == 0
    assert "source/seed0/best.pth" in record["zero_shot"]["weights"]


def test_tables_figures_and_report_show_the_starting_points(transferred):
    folder = transferred.root / "results/transfer"
    models = pd.read_csv(folder / "tables/models.csv").set_index("initialization")
    assert set(models.index) == {"scratch", "finetuned", "zero_shot"}
    page = (folder / "README.md").read_text()
    for name, words in (("zero_shot", "as it is (zero-shot)"), ("finetuned", "fine-tuned")):
        assert f"{words} {100 * models.loc[name, 'miou']:.1f} %" in page
    for name in ("initializations", "gains"):
        assert (folder / f"figures/{name}.svg").stat().st_size > 5_000
    assert (
        "fine-tuned against as it is"
        in (transferred.root / "results/transfer/report.html").read_text()
    )


@pytest.fixture(scope="module")
def zero_shot(transferred, tmp_path_factory):
    """A checkpoint of 19 classes, evaluated on 7 through a class map that leaves out some."""
    import mmseg.models  # noqa: F401
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    from segbench.zoo.names import config_path

    config = Config.fromfile(str(config_path(FAST_SCNN)))
    for node in (config.model.backbone, config.model.decode_head, *config.model.auxiliary_head):
        node["norm_cfg"] = {"type": "BN"}
    torch.manual_seed(3)
    init_default_scope("mmseg")
    model = MODELS.build(config.model)
    model.init_weights()
    torch.save({"state_dict": model.state_dict()}, transferred.root / "published.pth")
    full = yaml.safe_load((ROOT / "config/class_maps/cityscapes_to_idd_level1.yaml").read_text())
    # nothing stands for living things and vehicles
    kept = {k: v for k, v in full.items() if v not in ("living things", "vehicles")}
    settings = {
        "experiment": "zoo",
        "dataset": "tiny_rural.yaml",
        "source": "zoo",
        "class_map": kept,
        "models": {"fast_scnn": {"config": FAST_SCNN, "checkpoint": "published.pth"}},
        "initializations": ["zero_shot"],
        "seeds": [0, 1],
        "gallery_images": 2,
    }
    (transferred.root / "zoo.yaml").write_text(yaml.safe_dump(settings))
    transferred.run("--cores", "2", "--configfile", "zoo.yaml", expect=0)
    return transferred.root, model, kept


def test_a_prediction_without_counterpart_is_wrong_and_never_ignored(zero_shot):
    root, model, kept = zero_shot
    names = [
        c["name"]
        for c in json.loads((root / "results/datasets/tiny_rural/manifest.json").read_text())[
            "classes"
        ]
    ]
    from segbench.zoo import pretrained

    source = pretrained.classes_of_checkpoint(FAST_SCNN)
    with np.load(root / "results/zoo/runs/fast_scnn/zero_shot/seed0/confusion.npz") as stored:
        counted = dict(zip(stored["names"], stored["confusion"], strict=True))
    # the plain way: predict one frame, map pixel by pixel, count pixel by pixel
    name = sorted(counted)[0]
    image = np.asarray(
        Image.open(next((root / "results/datasets/tiny_rural/val_img").glob(f"{name}.*")))
    )
    truth = np.asarray(Image.open(root / f"results/datasets/tiny_rural/val_label/{name}.png"))
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    model.eval()
    with torch.no_grad():
        pixels = torch.from_numpy(((image - mean) / std).transpose(2, 0, 1)[None]).float()
        scores = model(pixels, mode="tensor")
        scores = torch.nn.functional.interpolate(scores, truth.shape, mode="bilinear")
        predicted = scores.argmax(1)[0].numpy()
    expected = np.zeros((7, 8), int)
    for t, p in zip(truth.ravel(), predicted.ravel(), strict=True):
        if t != 255:
            target = kept.get(source[p])
            expected[t, names.index(target) if target else 7] += 1
    # resampling in another order may turn a few pixels
    assert np.abs(counted[name] - expected).sum() <= 0.02 * expected.sum()
    assert counted[name].sum() == expected.sum()


def test_tables_show_both_means_and_what_is_unreachable(zero_shot):
    root = zero_shot[0]
    row = pd.read_csv(root / "results/zoo/tables/models.csv").iloc[0]
    assert row["unreachable"] == "living things; vehicles"
    with np.load(root / "results/zoo/runs/fast_scnn/zero_shot/seed0/confusion.npz") as stored:
        counts = stored["confusion"].sum(0).astype(float)
    iou = [counts[i, i] / (counts[i].sum() + counts[:, i].sum() - counts[i, i]) for i in range(7)]
    present = [i for i in range(7) if counts[i].sum() > 0]
    assert row["miou"] == pytest.approx(np.mean([iou[i] for i in present]))
    mapped = [i for i in present if i not in (2, 3)]
    assert row["miou_mapped"] == pytest.approx(np.mean([iou[i] for i in mapped]))
    page = (root / "results/zoo/tables/models.md").read_text()
    assert "over mapped classes %" in page


@pytest.mark.parametrize("checkpoint", ["", "/best.pth"])
def test_a_users_run_is_a_checkpoint_that_knows_its_classes(transferred, checkpoint):
    own = f"results/transfer/runs/fast_scnn/scratch/seed0{checkpoint}"
    settings = {
        "experiment": "own",
        "dataset": "tiny_rural.yaml",
        "source": "zoo",
        # how it was built is known, too
        "models": {"fast_scnn": {"checkpoint": own}},
        "initializations": ["zero_shot"],
    }
    (transferred.root / "own.yaml").write_text(yaml.safe_dump(settings))
    transferred.run("evaluate", "--cores", "2", "--configfile", "own.yaml", expect=0)
    runs = [transferred.root / f"results/{name}" for name in (
        "own/runs/fast_scnn/zero_shot/seed0", "transfer/runs/fast_scnn/scratch/seed0")]  # fmt: skip
    zero_shot, trained = (np.load(run / "confusion.npz")["confusion"] for run in runs)
    # the one has a column more, of predictions without counterpart
    assert np.array_equal(zero_shot[:, :, :7], trained[:, :, :7])
