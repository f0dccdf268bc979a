"""A model is handed over as ONNX, and predicts there what it predicts here."""

import json
import shutil
import sys

import cv2
import numpy as np
import pytest
import torch
from helpers import recipe_of

from segbench.__main__ import main
from segbench.engine import export as exporting
from segbench.engine.build import build_model, load_config
from segbench.engine.onnx_graph import PixelsToClasses, resized
from segbench.engine.predictor import _ready
from segbench.recipe.render import render
from segbench.report.predictions import StoredPredictions
from segbench.system.files import sha256_of
from segbench.system.run_records import TrainRecord
from segbench.zoo.names import config_path

onnxruntime = pytest.importorskip("onnxruntime")
RUN = "results/smallest/runs/cgnet/scratch/seed0"
# a family each; whether its graph reads images of any size
FAMILIES = {
    "bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024": True,
    "ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024": True,
    "fast_scnn_8xb4-160k_cityscapes-512x1024": True,
    "mobilenet-v2-d8_deeplabv3plus_4xb2-80k_cityscapes-512x1024": True,
    "pidnet-s_2xb6-120k_1024x1024-cityscapes": True,
    "pspnet_r18-d8_4xb2-80k_cityscapes-512x1024": True,
    "stdc1_4xb12-80k_cityscapes-512x1024": True,
    "fcn_hr18s_4xb2-40k_cityscapes-512x1024": False,
    "upernet_r18_4xb2-40k_cityscapes-512x1024": True,
    "segformer_mit-b0_8xb1-160k_cityscapes-1024x1024": False,
}


def classes_of(graph, image):
    """What the graph says of an image as OpenCV reads it."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": image[:, :, ::-1].transpose(2, 0, 1)[None]})[0][0]


def test_the_graph_predicts_what_the_evaluation_predicted(finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(finished.root)
    assert main(["export", RUN, "--onnx", "--out", str(tmp_path)]) == 0
    assert "reads images of any size" in capsys.readouterr().out
    stored = StoredPredictions(finished.root / RUN / "predictions.npz")
    for name in stored.names:
        image = cv2.imread(f"results/datasets/tiny_rural/val_img/{name}.jpg")
        agree = classes_of(tmp_path / "model.onnx", image) == stored[name]
        assert agree.mean() >= 0.999
    image = cv2.resize(image, (200, 120))
    assert classes_of(tmp_path / "model.onnx", image).shape == (120, 200)


def test_the_card_says_how_good_it_is_and_what_it_knows(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(finished.root)
    assert main(["export", RUN, "--out", str(tmp_path)]) == 0
    card = (tmp_path / "model_card.md").read_text()
    scores = json.loads((finished.root / RUN / "metrics.json").read_text())
    assert f"Mean IoU {100 * scores['miou']:.1f} %" in card
    assert scores["protocol"] in card
    assert "| 2 | living things | 220, 20, 60 |" in card
    assert "6 iterations" in card


@pytest.mark.parametrize(("name", "any_size"), FAMILIES.items())
def test_a_family_is_written(finished, tmp_path, monkeypatch, name, any_size):
    monkeypatch.chdir(finished.root)
    manifest = finished.root / "results/datasets/tiny_rural/manifest.json"
    recipe = recipe_of(
        run="m/scratch/seed0", initialization="scratch", seed=0, crop_size=(64, 96), batch_size=2,
        max_iters=4,
    )  # fmt: skip
    (tmp_path / "config.py").write_text(render(config_path(name), manifest, recipe))
    config = load_config(tmp_path / "config.py")
    model, _ = build_model(config, 0)
    predictor = _ready(name, model, config, "cpu", None)
    network = PixelsToClasses(predictor.model, predictor.ids).eval()
    images = exporting._images(tmp_path)[:2]
    words = (network, predictor, tmp_path / "model.onnx", images)
    assert (exporting._written(*words, any_size=True) is not None) == any_size
    agreement = exporting._written(*words, any_size=any_size)
    assert agreement is not None
    assert agreement >= 0.999


@pytest.mark.parametrize("size", [(48, 72), (100, 150), (31, 200)])
def test_bytes_are_resized_as_opencv_does(size):
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    expected = cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)
    found = resized(torch.from_numpy(image.transpose(2, 0, 1))[None], size)[0].permute(1, 2, 0)
    assert np.array_equal(found.numpy(), expected)


def test_images_are_resized_in_the_graph_as_before_the_model(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(finished.root)
    manifest = finished.root / "results/datasets/tiny_rural/manifest.json"
    recipe = recipe_of(
        run="m/scratch/seed0", initialization="scratch", seed=0, crop_size=(64, 96), batch_size=2,
        max_iters=4, image_size=(48, 200),
    )  # fmt: skip
    config_file = tmp_path / "config.py"
    config_file.write_text(
        render(config_path("pidnet-s_2xb6-120k_1024x1024-cityscapes"), manifest, recipe)
    )
    config = load_config(config_file)
    model, _ = build_model(config, 0)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "best.pth")
    shutil.copy(finished.root / RUN / "metrics.json", tmp_path)
    record = TrainRecord.read(finished.root / RUN / "train.json")
    of_these = {"checkpoint_sha256": sha256_of(tmp_path / "best.pth")}
    record.model_copy(update=of_these).write(tmp_path / "train.json")
    found = exporting.export(tmp_path, tmp_path / "out")
    assert found.agreement >= 0.999
    # the proportion of the sides is kept, so the size within 200x48 depends on the image
    image = exporting._images(tmp_path)[0]
    assert found.size == image.shape[:2]
    assert classes_of(found.graph, image).shape == image.shape[:2]


def test_ids_of_another_dataset_are_translated_in_the_graph(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(finished.root)
    config = load_config(finished.root / RUN / "config.py")
    model, _ = build_model(config, 0)
    predictor = _ready("m", model, config, "cpu", [3, 2, 1, 0, -1, 5, 6])
    network = PixelsToClasses(predictor.model, predictor.ids).eval()
    image = np.asarray(exporting._images(finished.root / RUN)[0])
    exporting.write_graph(network, tmp_path / "m.onnx", image.shape[:2], any_size=False)
    found = classes_of(tmp_path / "m.onnx", image)
    assert (found == predictor.predict([image])[0][0]).mean() >= 0.999
    assert not (found == 4).any()


def test_what_cannot_be_exported_is_said(finished, tmp_path, monkeypatch, capsys):
    assert main(["export", str(tmp_path)]) == 1
    assert "is not a finished run: it has no config.py" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["export", str(finished.root / RUN)]) == 1
    assert "needs the packages onnx and onnxruntime" in capsys.readouterr().err
