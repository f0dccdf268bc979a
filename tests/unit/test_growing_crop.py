"""Crops that grow in the course of a training, as `growing_crop` asks."""

import numpy as np
import pytest
from helpers import ROOT, manifest_of, recipe_of
from mmengine.config import Config

from segbench.config.training import Training
from segbench.datasets.description import load_description
from segbench.datasets.prepare import prepare
from segbench.demo.dataset import draw_dataset
from segbench.engine.build import build_model, last_batch, load_config, training_frames
from segbench.engine.growing import GrowingModel
from segbench.engine.processes import share_hard_pixels
from segbench.errors import ModelError
from segbench.recipe.growing_crop import GrowingCrop
from segbench.recipe.render import adapted, render
from segbench.zoo.names import config_path

FAST_SCNN = "fast_scnn_8xb4-160k_cityscapes-512x1024"
PIDNET = "pidnet-s_2xb6-120k_1024x1024-cityscapes"
DEEPLAB_VOC = "deeplabv3plus_r50-d8_4xb4-20k_voc12aug-512x512"
STDC = "stdc1_4xb12-80k_cityscapes-512x1024"
BEIT = "beit-base_upernet_8xb2-160k_ade20k-640x640"


def test_crops_grow_in_steps_of_32_pixels_over_three_quarters_of_the_training():
    growth = GrowingCrop(whole=(192, 256), start=0.5, iterations=400, batch=8)
    # halves at first; after 150 of 300 iterations three quarters
    assert [growth.at(k) for k in (0, 150, 300, 399)] == [
        (96, 128), (128, 192), (192, 256), (192, 256)
    ]  # fmt: skip
    sizes = [growth.at(k) for k in range(400)]
    assert sizes == sorted(sizes)
    assert {height for height, _ in sizes} == {96, 128, 160, 192}
    assert {width for _, width in sizes} == {128, 160, 192, 224, 256}
    assert growth.at_position(8 * 150 + 7) == (128, 192)
    assert growth.share(0) == 0.25


@pytest.mark.parametrize(
    ("side", "start", "first"),
    # a step of 32 pixels that leads below the share is not taken
    [(64, 0.25, 32), (96, 0.5, 64), (160, 0.25, 64), (160, 0.5, 96), (32, 0.5, 32)],
)
def test_no_crop_is_smaller_than_its_share(side, start, first):
    growth = GrowingCrop(whole=(side, side), start=start, iterations=400, batch=8)
    assert growth.at(0) == (first, first)
    assert growth.at(399) == (side, side)


def test_iterations_that_are_left_are_heavier_than_the_first_ones():
    growth = GrowingCrop(whole=(192, 256), start=0.5, iterations=400, batch=8)
    shares = [growth.share(k) for k in range(400)]
    exact = np.mean(shares[100:]) / np.mean(shares[:100])
    assert growth.heavier(0, 100, 400) == pytest.approx(exact, rel=0.01)
    # a screening ends before crops are whole, and a resumed training knows its own iterations
    exact = np.mean(shares[120:200]) / np.mean(shares[50:120])
    assert growth.heavier(50, 120, 200) == pytest.approx(exact, rel=0.01)
    assert growth.heavier(300, 350, 400) == 1
    assert growth.heavier(0, 400, 400) > 1  # nothing is left, and nothing is divided by zero


def test_smaller_crops_leave_the_same_rest_as_the_whole_one():
    growth = GrowingCrop(whole=(769, 513), start=0.25, iterations=99, batch=2)
    assert {side % 32 for k in range(99) for side in growth.at(k)} == {1}
    assert growth.at(0) == (769 - 18 * 32, 513 - 12 * 32)


def test_a_model_sees_whole_patches():
    growth = GrowingCrop(whole=(224, 518), start=0.5, iterations=10, batch=2, patch=14)
    assert growth.at(0) == (128, 262)
    assert growth.seen(0) == (140, 266)


@pytest.fixture
def config(tmp_path):
    """The rendered config of a model on a prepared dataset of four images of 300x400."""
    draw_dataset(tmp_path / "source", "urban", 4, 2, (300, 400))
    description = load_description(ROOT / "config/datasets/demo_urban.yaml")
    prepare(description, tmp_path / "source", tmp_path / "data", 1)

    def written(name: str = FAST_SCNN, **options) -> Config:
        settings = {
            "crop_size": (128, 192), "batch_size": 2, "max_iters": 20, "initialization": "scratch",
        } | options  # fmt: skip
        wanted = recipe_of(run="m/scratch/seed0", seed=0, **settings)
        path = tmp_path / "config.py"
        path.write_text(render(config_path(name), tmp_path / "data/manifest.json", wanted))
        return load_config(path)

    return written


def test_images_are_cropped_as_large_as_their_iteration_asks(config):
    frames = training_frames(config(growing_crop=0.5), seed=0)
    # out of order, as processes that read images in turn ask for them
    shapes = {position: tuple(frames[position]["inputs"].shape) for position in (39, 0, 1, 15)}
    # half of the sides, and in iteration 7 of 15 nearly half of what is missing is there
    assert shapes == {
        0: (3, 64, 96), 1: (3, 64, 96), 15: (3, 96, 128), 39: (3, 128, 192)
    }  # fmt: skip


def test_the_batch_of_a_trial_has_whole_crops(config):
    batch = last_batch(config(growing_crop=0.5), seed=0)
    assert [tuple(image.shape) for image in batch["inputs"]] == 2 * [(3, 128, 192)]


def test_a_model_expects_its_crops_and_the_same_share_of_hard_pixels(config):
    rendered = config(PIDNET, growing_crop=0.5)
    model, _ = build_model(rendered)
    losses = [part for part in model.modules() if hasattr(part, "min_kept")]
    whole = losses[0].min_kept
    growing = GrowingModel.of(model, rendered)
    growing.expect(0)
    assert tuple(model.data_preprocessor.size) == (64, 96)
    assert {loss.min_kept for loss in losses} == {round(whole / 4)}
    growing.expect(19)
    assert tuple(model.data_preprocessor.size) == (128, 192)
    assert {loss.min_kept for loss in losses} == {whole}


def test_each_of_several_processes_counts_its_share_of_the_hard_pixels(config):
    model, _ = build_model(config(PIDNET))
    (loss, *_) = [part for part in model.modules() if hasattr(part, "min_kept")]
    whole = loss.min_kept
    share_hard_pixels(model, 2)
    assert loss.min_kept == whole // 2
    model, _ = build_model(config(STDC))
    (sampler, *_) = [head.sampler for head in model.modules() if getattr(head, "sampler", None)]
    whole = sampler.min_kept
    share_hard_pixels(model, 2)
    assert sampler.min_kept == whole


def test_out_of_memory_is_told_for_whole_crops(config):
    rendered = config(growing_crop=0.5)
    growing = GrowingModel.of(build_model(rendered)[0], rendered)
    assert growing.of_whole(8, 0) == 2
    assert growing.of_whole(8, 19) == 8


def test_crops_are_whole_where_nothing_is_said(config):
    rendered = config()
    assert GrowingCrop.of(rendered) is None
    frames = training_frames(rendered, seed=0)
    assert np.shape(frames[0]["inputs"]) == (3, 128, 192)


def test_growing_crops_are_said(config):
    notes = config(growing_crop=0.5).segbench.adaptations
    assert "crops begin at 64x96 and are whole after 75% of the training" in notes


def test_one_model_may_have_whole_crops_where_others_grow(config):
    rendered = config(growing_crop=1, compile=True)
    assert GrowingCrop.of(rendered) is None


def test_nothing_grows_where_nothing_is_trained(config):
    rendered = config(initialization="zero_shot", growing_crop=0.5)
    assert GrowingCrop.of(rendered) is None
    assert not [note for note in rendered.segbench.adaptations if "crops begin" in note]


@pytest.mark.parametrize("start", [0.2, 1.5, "half"])
def test_a_share_of_the_sides_is_a_quarter_at_least_and_one_at_most(start):
    with pytest.raises(ValueError, match="growing_crop"):
        Training.model_validate({"growing_crop": start})


def test_a_compiled_network_has_one_crop():
    with pytest.raises(ValueError, match="do not go together"):
        Training.model_validate({"growing_crop": 0.5, "compile": True})


def test_a_model_of_one_image_size_is_refused(tmp_path):
    manifest_of(7).write(tmp_path / "manifest.json")
    wanted = recipe_of(
        run="m/scratch/seed0", initialization="scratch", seed=0, growing_crop=0.5,
        crop_size=(128, 128), batch_size=2, max_iters=20,
    )  # fmt: skip
    with pytest.raises(ModelError, match=r"`training\.growing_crop`: BEiT knows one crop"):
        adapted(config_path(BEIT), tmp_path / "manifest.json", wanted)


def test_a_crop_that_is_too_small_to_grow_is_refused(config):
    with pytest.raises(ModelError, match=r"crops of 64x96 cannot begin at 0\.9 of their sides"):
        config(crop_size=(64, 96), growing_crop=0.9)


def test_images_are_padded_to_their_crops(config):
    # MMCV's `Pad` writes width first; images of 300x400 are resized to half of that at the least
    crop = {"crop_size": (256, 352), "max_iters": 20}
    frames = training_frames(config(DEEPLAB_VOC, growing_crop=0.5, **crop), seed=0)
    assert {tuple(frames[position]["inputs"].shape) for position in range(30, 40)} == {
        (3, 256, 352)
    }
    assert tuple(frames[0]["inputs"].shape) == (3, 128, 192)


def test_a_recipe_that_cuts_no_crops_is_refused(config):
    pipeline = [{"type": "LoadImageFromFile"}, {"type": "LoadAnnotations"},
                {"type": "Resize", "scale": (192, 128)}, {"type": "PackSegInputs"}]  # fmt: skip
    with pytest.raises(ModelError, match="cuts no crops"):
        config(
            growing_crop=0.5,
            overrides={"train_dataloader": {"dataset": {"pipeline": pipeline}}},
        )
