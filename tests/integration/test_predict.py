"""Images that nobody labelled, predicted with a run, an experiment or a published model."""

import csv
import json
import shutil

import cv2
import pytest
import torch
from PIL import Image

from segbench.__main__ import main
from segbench.engine.build import build_model, load_config
from segbench.engine.predict import predict
from segbench.engine.predictor import predictor_of_zoo
from segbench.errors import ConfigError, DataError
from segbench.report.predictions import StoredPredictions

RUN = "results/smallest/runs/cgnet/scratch/seed0"
IMAGES = "results/datasets/tiny_rural/val_img"


@pytest.fixture
def here(finished, monkeypatch):
    monkeypatch.chdir(finished.root)
    return finished.root


@pytest.fixture
def photos(here, tmp_path):
    """Images as people have them: in folders, of several sizes and forms, some broken."""
    folder = tmp_path / "photos"
    (folder / "deep/er").mkdir(parents=True)
    first, second, third, fourth = sorted((here / IMAGES).glob("*.jpg"))[:4]
    shutil.copy(first, folder / "a.jpg")
    shutil.copy(second, folder / "deep/er/=a.JPG")
    Image.open(third).resize((75, 51)).save(folder / "b.png")
    Image.open(fourth).convert("L").save(folder / "b.tif")
    (folder / "cut.jpg").write_bytes(first.read_bytes()[:900])
    (folder / "notes.md").write_text("no image")
    return folder


def ids(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def rows(folder):
    with (folder / "shares.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_predicts_what_its_evaluation_predicted(here, tmp_path):
    predict(RUN, [IMAGES], tmp_path / "out", device="cpu")
    stored = StoredPredictions(here / RUN / "predictions.npz")
    assert len(stored.names) == 8
    for name in stored.names:
        assert (ids(tmp_path / f"out/classes/{name}.png") == stored[name]).all()


def test_mmsegmentations_own_inferencer_agrees(here, tmp_path):
    from mmseg.apis import inference_model, init_model

    predict(RUN, [IMAGES], tmp_path / "out", device="cpu", batch_size=3)
    model = init_model(f"{RUN}/config.py", f"{RUN}/best.pth", device="cpu")
    for path in sorted((here / IMAGES).glob("*.jpg")):
        torch.manual_seed(0)
        theirs = inference_model(model, str(path)).pred_sem_seg.data[0].numpy()
        assert (ids(tmp_path / f"out/classes/{path.stem}.png") == theirs).mean() > 0.999


def test_every_image_has_its_files_and_broken_ones_are_listed(here, photos, tmp_path, capsys):
    status = main(["predict", RUN, str(photos), "--out", str(tmp_path / "out"), "--device", "cpu"])
    said = capsys.readouterr().err
    assert status == 1
    assert "1 images cannot be read; all others are done" in said
    assert "left out" in said
    assert "cut.jpg" in said
    # two of the name `b`, told apart by what they were called
    found = {p.relative_to(tmp_path / "out/classes") for p in (tmp_path / "out").rglob("*.png")
             if "classes" in p.parts}  # fmt: skip
    assert {str(path) for path in found} == {"a.png", "b.png.png", "b.tif.png", "deep/er/=a.png"}
    assert ids(tmp_path / "out/classes/b.png.png").shape == (51, 75)
    overlay = cv2.imread(str(tmp_path / "out/overlays/b.png.jpg"))
    assert overlay.shape[1] == 75
    assert overlay.shape[0] > 51  # with the legend below
    confidence = ids(tmp_path / "out/confidence/a.png")
    assert confidence.shape == (64, 96)
    # of seven classes the likeliest has a seventh at least
    assert confidence.min() >= 255 / 7 - 1


def test_the_shares_are_those_of_the_pixels(here, photos, tmp_path):
    predict(RUN, [str(photos)], tmp_path / "out", device="cpu", pictures=False)
    classes = json.loads((tmp_path / "out/prediction.json").read_text())["classes"]
    for row in rows(tmp_path / "out"):
        name = row["image"].lstrip("'")
        found = ids(tmp_path / f"out/classes/{name}.png")
        for number, one in enumerate(classes):
            assert float(row[one["name"]]) == pytest.approx((found == number).mean(), abs=1e-6)
    assert not (tmp_path / "out/overlays").exists()


def test_a_name_is_no_formula(here, photos, tmp_path):
    predict(RUN, [str(photos / "deep/er")], tmp_path / "out", device="cpu")
    assert [row["image"] for row in rows(tmp_path / "out")] == ["'=a"]


def test_a_second_call_goes_on_where_the_first_was_stopped(here, tmp_path):
    out = tmp_path / "out"
    predict(RUN, [IMAGES], out, device="cpu")
    whole = (out / "shares.csv").read_bytes()
    lines = (out / ".done.csv").read_text().splitlines()
    # killed in the middle of the sixth line, and one result was removed by hand
    (out / ".done.csv").write_text("\n".join([*lines[:5], lines[5][:20]]))
    removed = lines[1].split(",")[0]
    (out / f"classes/{removed}.png").unlink()
    (out / "shares.csv").unlink()
    outcome = predict(RUN, [IMAGES], out, device="cpu")
    assert (outcome.done, outcome.before) == (4, 4)
    assert (out / "shares.csv").read_bytes() == whole
    # nothing was added to the line that was cut off: a third call finds all of them
    outcome = predict(RUN, [IMAGES], out, device="cpu")
    assert (outcome.done, outcome.before) == (0, 8)


def test_results_below_the_images_are_not_predicted(here, photos):
    (photos / "cut.jpg").unlink()
    predict(RUN, [str(photos)], photos / "out", device="cpu")
    outcome = predict(RUN, [str(photos)], photos / "out", device="cpu")
    assert (outcome.done, outcome.before) == (0, 4)
    assert len(rows(photos / "out")) == 4


def test_results_of_two_models_are_never_mixed(here, tmp_path):
    predict(RUN, [IMAGES], tmp_path / "out", device="cpu")
    other = "results/smallest/runs/fast_scnn/scratch/seed0"
    with pytest.raises(DataError, match="holds predictions of cgnet/scratch/seed0"):
        predict(other, [IMAGES], tmp_path / "out", device="cpu")


def test_the_best_run_of_an_experiment_is_taken_by_its_name(here, tmp_path):
    predict("smallest", [IMAGES], tmp_path / "out", device="cpu")
    with (here / "results/smallest/tables/models.csv").open() as file:
        best = next(csv.DictReader(file))["model"]
    record = json.loads((tmp_path / "out/prediction.json").read_text())
    assert record["model"] == f"{best}/scratch/seed0"


def test_images_are_named_by_lists_patterns_and_paths(here, tmp_path):
    paths = sorted((here / IMAGES).glob("*.jpg"))
    (tmp_path / "list.txt").write_text(f"{paths[0]}\n{paths[1]}\n\n")
    named = [str(tmp_path / "list.txt"), f"{IMAGES}/*29.jpg", str(here / paths[2])]
    predict(RUN, named, tmp_path / "out", device="cpu")
    expected = {paths[0].stem, paths[1].stem, paths[2].stem}
    expected |= {path.stem for path in paths if path.stem.endswith("29")}
    assert {row["image"] for row in rows(tmp_path / "out")} == expected


@pytest.mark.parametrize(
    ("model", "images", "said"),
    [
        ("cgnett", IMAGES, "is neither a run, nor an experiment in results/, nor a published"),
        (RUN, "nowhere/*.jpg", "no image is there"),
        ("results/smallest/runs/cgnet", IMAGES, "is neither a run"),
    ],
)
def test_what_is_not_there_is_said(here, tmp_path, model, images, said):
    with pytest.raises((ConfigError, DataError)) as caught:
        predict(model, [images], tmp_path / "out", device="cpu")
    assert said in str(caught.value)


def test_weights_that_a_training_did_not_write_predict_nothing(here, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(RUN, run)
    content = (run / "best.pth").read_bytes()
    (run / "best.pth").unlink()  # the copy is a link
    (run / "best.pth").write_bytes(content[:-1] + b"?")
    for command in (
        ["predict", str(run), IMAGES, "--out", str(tmp_path / "out")],
        ["export", str(run)],
    ):
        assert main(command) == 1
        assert "is not the file that its training wrote" in capsys.readouterr().err


def test_a_photo_that_a_camera_turned_is_read_upright(here, tmp_path):
    source = Image.open(next((here / IMAGES).glob("*.jpg")))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter to see it upright
    source.save(tmp_path / "turned.jpg", exif=exif)
    predict(RUN, [str(tmp_path / "turned.jpg")], tmp_path / "out", device="cpu")
    width, height = source.size
    assert ids(tmp_path / "out/classes/turned.png").shape == (width, height)


def test_a_published_model_predicts_its_own_classes(here, tmp_path):
    """Random weights in the form of a published checkpoint, which cannot be had here."""
    name = "cgnet_fcn_4xb8-60k_cityscapes-512x1024"
    classes = [f"class {i}" for i in range(19)]
    config = load_config(here / RUN / "config.py")
    config.model.decode_head.num_classes = 19
    model, _ = build_model(config, load=False)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "published.pth")
    predictor = predictor_of_zoo(name, classes, tmp_path / "published.pth", "cpu")
    image = cv2.imread(str(next((here / IMAGES).glob("*.jpg"))))
    ((found, confidence),) = predictor.predict([image])
    assert found.shape == confidence.shape == image.shape[:2]
    assert found.max() < 19
    assert [one.name for one in predictor.classes] == classes
    assert len({one.color for one in predictor.classes}) == 19


def test_the_workflow_predicts_with_its_best_model(finished_copy):
    arguments = ("predict", "--cores", "2", "--configfile", "smallest.yaml")
    done = finished_copy.run(*arguments, expect=1)
    assert "`predict` names no images" in done.stdout + done.stderr
    finished_copy.run(*arguments, "--config", f"predict={IMAGES}", expect=0)
    assert len(rows(finished_copy.root / "results/smallest/predictions")) == 8
    done = finished_copy.run(
        *arguments, "--config", f"predict={{images: {IMAGES}, run: cgnett/scratch/seed0}}", expect=1
    )
    assert "no run 'cgnett/scratch/seed0'. Did you mean" in done.stdout + done.stderr
