"""Models are proven before any training: built, stepped, and weighed against the memory."""

from pathlib import Path

import pytest
import torch
from helpers import manifest_of, recipe_of
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from segbench.engine import preflight as preflight_module
from segbench.engine.memory import (
    OVERHEAD,
    Estimate,
    counting_kept,
    estimate,
    estimate_of_step,
    verdict,
)
from segbench.engine.preflight import ModelCheck, preflight, smaller
from segbench.errors import ModelError
from segbench.recipe.render import adapted, render
from segbench.zoo.names import config_path

GIB = 2**30


def write_manifest(path: Path, count: int, size: tuple[int, int] = (270, 330)) -> Path:
    manifest_of(count, name="drawn", image_sizes=[[*size, 1]]).write(path)
    return path


@pytest.fixture
def check(tmp_path):
    """Check one model of the zoo for seven classes and images of 270x330."""

    def check_model(name: str, size: tuple[int, int] = (270, 330), **recipe) -> ModelCheck:
        manifest = write_manifest(tmp_path / "manifest.json", 7, size)
        settings = {"crop_size": (128, 160), "batch_size": 2, "max_iters": 100} | recipe
        config = tmp_path / "config.py"
        run = recipe_of(run="m/scratch/seed0", initialization="scratch", seed=0, **settings)
        config.write_text(render(config_path(name), manifest, run))
        preflight(config, manifest, tmp_path / "report.json")
        return ModelCheck.read(tmp_path / "report.json")

    return check_model


FAST_SCNN = "fast_scnn_8xb4-160k_cityscapes-512x1024"


def test_a_model_that_works_is_reported_with_its_memory(check):
    report = check(FAST_SCNN, crop_size=(512, 512), batch_size=4)
    assert report.parameters == pytest.approx(1.4e6, rel=0.1)
    assert report.memory_bytes > OVERHEAD
    assert report.memory.startswith("training takes about ")


@pytest.mark.parametrize("name", [FAST_SCNN, "cgnet_fcn_4xb8-60k_cityscapes-512x1024"])
def test_classes_are_weighed_in_losses_with_sigmoid_and_with_softmax(check, name):
    assert "class weights (enet)" in " ".join(check(name, class_weights="enet").adaptations)


def test_a_loss_that_is_not_finite_is_refused(check):
    head = {"loss_decode": {"loss_weight": float("1e300")}}
    with pytest.raises(ModelError, match=r"the loss is (inf|nan), not a finite number\. Lower"):
        check(FAST_SCNN, overrides={"model": {"decode_head": head}})


def test_growing_crops_are_not_blamed_for_a_rate_that_is_too_high(check):
    optimizer = {"optim_wrapper": {"optimizer": {"_delete_": True, "type": "SGD", "lr": 1e30}}}
    with pytest.raises(ModelError, match=r"not a finite number\. Lower `learning_rate`"):
        check(FAST_SCNN, growing_crop=0.5, overrides=optimizer)


def test_an_unknown_optimizer_is_named_with_the_nearest_known_one(check):
    overrides = {"optim_wrapper": {"optimizer": {"type": "AdamWW"}}}
    with pytest.raises(ModelError, match=r"no optimizer is called 'AdamWW'\. Did you mean 'AdamW'"):
        check(FAST_SCNN, overrides=overrides)


def test_a_head_that_takes_maps_for_one_stretch_of_memory_is_trained(check):
    # with channels last, the views of its dynamic filters are refused
    assert check("dmnet_r50-d8_4xb2-40k_cityscapes-512x1024", crop_size=(64, 96)).parameters > 0


def test_a_check_draws_the_same_numbers_every_time(check, monkeypatch):
    """What is drawn before must not decide whether a model passes."""
    drawn = []
    step = preflight_module._step

    def noting(*arguments):
        drawn.append(float(torch.rand(1)))
        step(*arguments)

    monkeypatch.setattr(preflight_module, "_step", noting)
    for _ in range(2):
        torch.rand(3)
        check(FAST_SCNN)
    assert len(set(drawn)) == 1


def test_what_fails_on_smaller_pixels_is_tried_in_full(check):
    # the pooling of LR-ASPP needs 392 pixels, more than a check takes by itself
    check(
        "mobilenet-v3-d8-s_lraspp_4xb4-320k_cityscapes-512x1024", (400, 410), crop_size=(400, 416)
    )


@pytest.mark.parametrize(
    ("name", "recipe", "problem", "remedy"),
    [
        (FAST_SCNN, {"batch_size": 500_000}, "training takes about ", "Lower `batch_size` or"),
        ("mobilenet-v3-d8-s_lraspp_4xb4-320k_cityscapes-512x1024", {},
         "a training step on crops of 128x160 fails", "raise `crop_size`"),
        ("deeplabv3_r18-d8_4xb2-80k_cityscapes-512x1024", {"batch_size": 1},
         "a training step on crops of 128x160 fails", "raise `batch_size` to 2"),
        (FAST_SCNN, {"overrides": {"model": {"decode_head": {"in_channels": 100}}}},
         "a training step on crops of 128x160 fails", "Correct `in_channels`"),
        (FAST_SCNN, {"learning_rate": 1e300},
         "a training step on crops of 128x160 fails", "Lower `learning_rate`"),
        ("mobilenet-v3-d8-s_lraspp_4xb4-320k_cityscapes-512x1024",
         {"crop_size": (416, 416), "growing_crop": 0.5},
         "a training step on crops of 224x224 fails", "Raise `growing_crop`"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_trained_is_stopped_with_the_remedy(
    check, name, recipe, problem, remedy
):
    with pytest.raises(ModelError) as caught:
        check(name, **recipe)
    assert f"m/scratch/seed0: {problem}" in str(caught.value)
    assert remedy in str(caught.value)


class OneConvolution(nn.Module):
    """Called as a segmentor is; of known size."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 1, bias=False)

    def forward(self, images, samples, mode):
        return torch.relu(self.layer(images))


def config_of_batch(size: int) -> Config:
    return Config(
        {
            "train_dataloader": {
                "batch_size": size, "dataset": {"metainfo": {"classes": ["a", "b"]}}
            },
            "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "AdamW"}},
        }
    )  # fmt: skip


def test_memory_of_a_real_step_is_that_of_its_share_of_the_batch():
    model = OneConvolution()
    with counting_kept(model) as kept_bytes:
        model(torch.zeros(2, 3, 8, 16), None, "tensor")
    # the images for the convolution, and its output after ReLU
    assert kept_bytes() == 4 * 2 * 8 * 16 * (3 + 4)
    found = estimate_of_step(model, config_of_batch(6), kept_bytes(), images=2)
    assert found == Estimate(weights=12 * 4 * 4, activations=3 * kept_bytes())


def test_memory_equals_what_is_worked_out_by_hand():
    found = estimate(OneConvolution(), config_of_batch(2), crop=(8, 16))
    assert found is not None
    # 12 weights of 4 bytes: themselves, gradients and two averages
    assert found.weights == 12 * 4 * 4
    # the images for the convolution, its output after ReLU, and three maps of two classes
    pixels = 2 * 8 * 16
    assert found.activations == 4 * pixels * (3 + 4 + 3 * 2)


@pytest.mark.parametrize(
    ("name", "classes", "crop", "images", "published"),
    [
        # one V100 of four: two images of 512x1024 and 19 classes
        ("deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024", 19, (512, 1024), 2, 7.5),
        # one V100 of eight: two images of 512x512 and 150 classes
        ("swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512",
         150, (512, 512), 2, 5.02),
    ],
)  # fmt: skip
def test_estimates_come_near_to_what_was_published(
    tmp_path, name, classes, crop, images, published
):
    manifest = write_manifest(tmp_path / "manifest.json", classes)
    wanted = recipe_of(run="r", initialization="scratch", seed=0, crop_size=crop, batch_size=images)
    config = adapted(config_path(name), manifest, wanted)
    init_default_scope("mmseg")
    found = estimate(MODELS.build(config.model), config, crop)
    assert found is not None
    assert (found.total - OVERHEAD) / 1e9 == pytest.approx(published, rel=0.15)


@pytest.mark.parametrize(
    ("gib", "kind"), [(8.9, "fine"), (9.1, "tight"), (14.9, "tight"), (15.1, "beyond")]
)
def test_only_what_is_far_beyond_the_memory_stops(gib, kind):
    found = Estimate(weights=0, activations=round(gib * GIB) - OVERHEAD)
    judged, sentence = verdict(found, 10 * GIB, "a GPU")
    assert judged == kind
    assert f"about {gib} GiB of 10.0 GiB (a GPU)" in sentence
    assert ("precision: bfloat16" in sentence) == (kind != "fine")


@given(st.integers(1, 5000))
def test_a_smaller_side_divides_as_the_full_one_does(side):
    tried = smaller(side, 256)
    assert 0 < tried <= 256
    assert (tried - side) % 32 == 0


POINT_REND = "pointrend_r50_4xb2-80k_cityscapes-512x1024"


@pytest.mark.parametrize("deterministic", [True, False])
def test_what_no_kernel_makes_deterministic_is_said_to_those_who_ask(check, caplog, deterministic):
    report = check(POINT_REND, deterministic=deterministic)
    assert report.varies_by == ("sampling at points (grid_sample)",)
    said = "does not give the same bits each time on a GPU: there is no deterministic kernel for"
    assert (said in caplog.text) is deterministic


@pytest.mark.parametrize("name", [FAST_SCNN, "segformer_mit-b0_8xb1-160k_cityscapes-1024x1024"])
def test_a_model_whose_kernels_all_are_deterministic_is_not_warned_of(check, caplog, name):
    assert check(name, deterministic=True).varies_by == ()
    assert "same bits" not in caplog.text
