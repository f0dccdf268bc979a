"""The smallest experiment, really trained on the CPU: its numbers, its report, its safety."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from helpers import Checkout
from PIL import Image

CONFIG = ("--cores", "2", "--configfile", "smallest.yaml")
MODELS = ("cgnet", "fast_scnn")


def run_folder(checkout: Checkout, model: str):
    return checkout.root / f"results/smallest/runs/{model}/scratch/seed0"


def ious_by_hand(confusion: np.ndarray) -> list[float]:
    """IoU per class from summed counts, written out."""
    ious = []
    for k in range(len(confusion)):
        hit = int(confusion[k, k])
        in_truth, predicted = int(confusion[k].sum()), int(confusion[:, k].sum())
        ious.append(hit / (in_truth + predicted - hit) if in_truth else float("nan"))
    return ious


@pytest.mark.parametrize("model", MODELS)
def test_the_tables_are_what_the_confusion_matrices_say(finished, model):
    with np.load(run_folder(finished, model) / "confusion.npz") as stored:
        confusion, names = stored["confusion"], stored["names"]
    assert confusion.shape == (8, 7, 7)
    assert confusion.dtype == np.int64
    # every pixel of every validation image is counted, void ones apart
    prepared = finished.root / "results/datasets/tiny_rural"
    for name, counts in zip(names, confusion, strict=True):
        label = np.asarray(Image.open(prepared / f"val_label/{name}.png"))
        assert counts.sum(1).tolist() == [int((label == k).sum()) for k in range(7)]

    expected = ious_by_hand(confusion.sum(0))
    tables = finished.root / "results/smallest/tables"
    per_class = pd.read_csv(tables / "per_class.csv").query("model == @model")
    assert per_class["iou"].tolist() == pytest.approx(expected, nan_ok=True)
    row = pd.read_csv(tables / "models.csv").set_index("model").loc[model]
    assert row["miou"] == pytest.approx(np.nanmean(expected))
    assert row["aacc"] == pytest.approx(np.trace(confusion.sum(0)) / confusion.sum())
    assert row["miou_ci_low"] <= row["miou"] <= row["miou_ci_high"]
    assert (row["runs"], row["images"], row["iterations"]) == (1, 8, 6)


@pytest.mark.parametrize("model", MODELS)
def test_the_best_checkpoint_is_what_was_evaluated(finished, model):
    folder = run_folder(finished, model)
    history = pd.read_csv(folder / "history.csv").dropna(subset=["val_miou"])
    assert history["iteration"].tolist() == [3, 6]
    record = json.loads((folder / "train.json").read_text())
    scores = json.loads((folder / "metrics.json").read_text())
    best = history.loc[history["val_miou"].idxmax()]
    assert record["best_val_miou"] == best["val_miou"]
    assert record["best_iteration"] == best["iteration"]
    # the same weights on the same images: validation in training and evaluation agree exactly
    assert scores["miou"] == best["val_miou"]
    checkpoint = torch.load(folder / "best.pth", weights_only=True)
    assert checkpoint["meta"]["iteration"] == best["iteration"]
    assert len(checkpoint["meta"]["dataset_meta"]["classes"]) == 7


def test_mmsegmentation_itself_scores_the_same(finished):
    """The stock test runner and its IoUMetric, on the rendered config and our checkpoint."""
    folder = run_folder(finished, "cgnet")
    program = f"""
import json, logging
from mmengine.config import Config
from mmengine.runner import Runner
config = Config.fromfile({str(folder / "config.py")!r})
config.work_dir, config.load_from = "stock", {str(folder / "best.pth")!r}
config.test_dataloader.update(num_workers=0, persistent_workers=False)
print("SCORES", json.dumps(Runner.from_cfg(config).test(), default=float))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], cwd=finished.root, text=True,
        capture_output=True, check=False,
        env={"PYTHONPATH": str(finished.root / "workflow/scripts"), "HOME": str(finished.root),
             "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stock = json.loads(done.stdout.rpartition("SCORES")[2])
    scores = json.loads((folder / "metrics.json").read_text())
    # it rounds to two decimals of a per cent
    assert stock["mIoU"] == pytest.approx(100 * scores["miou"], abs=0.011)
    assert stock["aAcc"] == pytest.approx(100 * scores["aacc"], abs=0.011)
    assert stock["mAcc"] == pytest.approx(100 * scores["macc"], abs=0.011)


def test_the_report_is_complete_and_self_contained(finished):
    report = (finished.root / "results/smallest/report.html").read_text()
    table = pd.read_csv(finished.root / "results/smallest/tables/models.csv")
    best = table.loc[table["miou"].idxmax()]
    # the verdict is on the first page, with the number of the table
    assert re.search(
        rf"{best['model']}</strong> reaches {100 * best['miou']:.1f} % mean IoU", report
    )
    for category in ("Comparison", "Dataset", "Training", "Images"):
        assert f'"{category}"' in report
    assert "no result yet" not in report
    assert not re.search(r'(src|href)="https?://[^"]+\.(js|css)"', report)


@pytest.mark.parametrize(
    "name", ["figures/models.png", "figures/per_class.png", "figures/training.png",
             "gallery/predictions.png"],
)  # fmt: skip
def test_figures_are_drawn(finished, name):
    picture = np.asarray(Image.open(finished.root / "results/smallest" / name).convert("L"))
    assert min(picture.shape) > 150
    assert picture.std() > 10


def test_every_job_has_a_log_and_a_benchmark(finished):
    for rule in (
        "obtain_dataset", "prepare_dataset", "check_dataset", "describe_dataset", "render_config",
        "check_model", "train_run", "evaluate_run", "measure_cost", "compare_tables",
        "compare_figures", "compare_page",
    ):  # fmt: skip
        assert [*(finished.root / "results/logs" / rule).rglob("*.log")], rule
        line = next((finished.root / "results/benchmarks" / rule).rglob("*.jsonl")).read_text()
        assert json.loads(line.splitlines()[0])["s"] >= 0
    log = (finished.root / "results/logs/train_run/smallest/cgnet_scratch_0.log").read_text()
    assert re.search(r"cgnet/scratch/seed0 \[=+\] 6/6 it  .*lr .* it/s", log)
    assert "validation at iteration 3: mean IoU" in log
    # not a line for each of its hundreds of tensors
    assert len(log.splitlines()) < 60


def test_it_says_once_that_it_trains_on_the_cpu(finished_copy):
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    done = finished_copy.run(*CONFIG, "--forcerun", "compare_tables", expect=0)
    assert done.stderr.count("No CUDA device on this machine") == 1


def test_what_was_trained_before_is_not_trained_again(finished_copy):
    """A job that Snakemake starts again finds its finished training by its digest."""
    folder = run_folder(finished_copy, "cgnet")
    before = (folder / "best.pth").read_bytes()
    target = "results/smallest/runs/cgnet/scratch/seed0/best.pth"
    done = finished_copy.run(*CONFIG, "--forcerun", target, "--", target, expect=0)
    assert "trained before with the same settings, results reused" in done.stderr
    assert (folder / "best.pth").read_bytes() == before


def checkpoint_hash(checkout: Checkout, model: str) -> str:
    state = torch.load(run_folder(checkout, model) / "best.pth", weights_only=True)["state_dict"]
    joined = b"".join(state[key].numpy().tobytes() for key in sorted(state))
    return hashlib.sha256(joined).hexdigest()


def test_a_killed_training_goes_on_and_ends_the_same(finished, finished_copy):
    """Kill the whole process group in the middle, run again: the same weights, bit for bit."""
    shutil.rmtree(finished_copy.root / "results/work")
    target = "results/smallest/runs/cgnet/scratch/seed0/best.pth"
    command = [shutil.which("snakemake", path=str(sys.executable).rpartition("/")[0]), *CONFIG,
               "--forcerun", target, "--", target]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=finished_copy.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 180
    while not [*(finished_copy.root / "results/work").rglob("state-*.pth")]:
        assert process.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished_copy.run("--unlock", *CONFIG)
    done = finished_copy.run(*CONFIG, "--", target, expect=0)
    assert "going on after iteration 3" in done.stderr
    assert checkpoint_hash(finished_copy, "cgnet") == checkpoint_hash(finished, "cgnet")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda raw: next(raw.glob("leftImg8bit/train/100/*29_*")).write_bytes(b"\xff\xd8broken"),
         "images that cannot be read (1)"),
        (lambda raw: next(raw.glob("gtFine/val/*/*29_*")).unlink(), "images without a label (1)"),
        (lambda raw: next(raw.glob("gtFine/val/*/*29_*")).write_text("{}"),
         "field `imgWidth` is not a size in pixels"),
    ],
    ids=["broken image", "missing label", "wrong json"],
)  # fmt: skip
def test_bad_data_stops_before_training_and_loses_nothing(finished_copy, spoil, message):
    raw = finished_copy.root / "mine"
    shutil.copytree(finished_copy.root / "resources/datasets/tiny_rural", raw)
    spoil(raw)
    before = (run_folder(finished_copy, "cgnet") / "best.pth").read_bytes()
    description = (finished_copy.root / "tiny_rural.yaml").read_text()
    (finished_copy.root / "mine.yaml").write_text(description.replace("tiny_rural", "mine"))
    done = finished_copy.run(
        *CONFIG, "--config", "dataset=mine.yaml", "dataset_sources={mine: mine}", "experiment=bad"
    )
    assert done.returncode != 0
    assert message in done.stderr
    assert "Remedy: " in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not (finished_copy.root / "results/bad/runs").exists()
    assert (run_folder(finished_copy, "cgnet") / "best.pth").read_bytes() == before
    assert (finished_copy.root / "results/smallest/tables/models.csv").exists()


def test_a_model_that_cannot_train_is_found_by_the_check(finished_copy):
    """MaskFormer needs mmdet; nothing is trained to find out.

    A dry run tells it of a published config; what overrides may have replaced, it cannot know.
    """
    former = {
        "config": "maskformer_r50-d32_8xb2-160k_ade20k-512x512",
        "overrides": {"model": {"decode_head": {"feat_channels": 256}}},
    }
    models = {"cgnet": "cgnet_fcn_4xb8-60k_cityscapes-512x1024", "former": former}
    config = yaml.safe_load((finished_copy.root / "smallest.yaml").read_text())
    config |= {"experiment": "new", "models": models}
    (finished_copy.root / "smallest.yaml").write_text(yaml.safe_dump(config))
    done = finished_copy.run("check", *CONFIG)
    assert done.returncode != 0
    assert "ERROR: former/scratch/seed0: " in done.stderr
    assert "make setup EXTRAS=mmdet" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not [*(finished_copy.root / "results/new/runs").rglob("best.pth")]


def test_mmsegmentations_own_tools_take_a_run_as_it_is(finished, monkeypatch):
    """`config.py` and `best.pth` are ordinary files: its functions and inferencer read them."""
    from mmseg.apis import MMSegInferencer, inference_model, init_model

    monkeypatch.chdir(finished.root)
    folder = Path("results/smallest/runs/cgnet/scratch/seed0")
    image = str(next(Path("results/datasets/tiny_rural/val_img").glob("*.jpg")))
    height, width = cv2.imread(image).shape[:2]
    model = init_model(str(folder / "config.py"), str(folder / "best.pth"), device="cpu")
    one = inference_model(model, image).pred_sem_seg.data[0].numpy()
    assert one.shape == (height, width)
    inferencer = MMSegInferencer(str(folder / "config.py"), str(folder / "best.pth"), device="cpu")
    other = inferencer(image, show=False)["predictions"]
    assert (np.asarray(other) == one).all()
