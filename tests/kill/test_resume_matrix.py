"""Whatever a training consists of, interrupted twice it ends with the same bits.

A matrix of what keeps something between two iterations and could be forgotten: every type of
optimizer and scheduler of the zoo, heads with buffers of their own, and the options of a training.
"""

import shutil

import pytest
import torch
from helpers import recipe_of

from segbench.engine import precision as deciding
from segbench.engine import train as training
from segbench.engine import trainer
from segbench.engine.execution import Execution
from segbench.recipe.render import render
from segbench.zoo.names import config_path

FCN = "fcn_r18-d8_4xb2-80k_cityscapes-512x1024"
CGNET = "cgnet_fcn_4xb8-60k_cityscapes-512x1024"  # Adam, PolyLR
# as published: optimizer and schedulers, and what keeps something of its own
MODELS = {
    "SGD, PolyLR, auxiliary heads": "fast_scnn_8xb4-160k_cityscapes-512x1024",
    "AdamW, LinearLR, drop path": "segformer_mit-b0_8xb1-160k_cityscapes-1024x1024",
    "a head that draws its bases": "segnext_mscan-t_1xb16-adamw-160k_ade20k-512x512",
    "a head with fixed buffers": "stdc1_4xb12-80k_cityscapes-512x1024",
}
# heads on a small part of the backbone that they were published with
NARROW = {"depth": 18, "base_channels": 16}
DILATED = {
    "backbone": NARROW,
    "decode_head": {"in_channels": 128, "channels": 32},
    "auxiliary_head": {"in_channels": 64, "channels": 32},
}
PYRAMID = {"backbone": NARROW, "neck": {"in_channels": [16, 32, 64, 128]}}
HEADS = {
    "that averages its bases": ("emanet_r50-d8_4xb2-80k_cityscapes-512x1024", DILATED),
    "with attention along rows and columns": ("ccnet_r50-d8_4xb2-40k_cityscapes-512x1024", DILATED),
    "with masks of attention": ("psanet_r50-d8_4xb2-40k_cityscapes-512x1024", DILATED),
    "that draws points": ("pointrend_r50_4xb2-80k_cityscapes-512x1024", PYRAMID),
}
MULTI_STEP = [
    {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 1000},
    {"type": "MultiStepLR", "milestones": [60000, 72000], "by_epoch": False, "begin": 1000,
     "end": 80000},
]  # fmt: skip
CONSTANT = [{"type": "ConstantLR", "factor": 0.1, "by_epoch": False, "begin": 0, "end": 30000}]
# a sixteenth as wide as published: what matters is its optimizer, with a rate for each layer
SMALL_BEIT = {
    "backbone": {"embed_dims": 48, "num_heads": 3},
    "neck": {"embed_dim": 48},
    "decode_head": {"in_channels": [48, 48, 48, 48], "channels": 48},
    "auxiliary_head": {"in_channels": 48, "channels": 48},
}
BEIT = "beit-base_upernet_8xb2-160k_ade20k-640x640"
OPTIONS = {
    "moving average": {"ema": 0.9},
    "crops that grow": {"growing_crop": 0.25, "crop_size": (128, 128)},
    "early stopping": {"early_stopping": 2, "learning_rate": 1e-30},
    "mixed precision": {"precision": "bfloat16"},
    "a scaled loss": {
        "precision": "float16", "overrides": {"optim_wrapper": {"clip_grad": {"max_norm": 0.1}}},
    },
    "rare classes": {"rare_class_sampling": 0.01, "class_weights": "median_frequency"},
    "MultiStepLR": {"overrides": {"param_scheduler": MULTI_STEP}},
    "ConstantLR": {"overrides": {"param_scheduler": CONSTANT}},
    "clipped gradients": {"overrides": {"optim_wrapper": {"clip_grad": {"max_norm": 0.1}}}},
    "everything at once": {
        "ema": 0.9, "early_stopping": 9, "precision": "bfloat16", "rare_class_sampling": 0.01,
        "deterministic": True,
    },
}  # fmt: skip


@pytest.fixture
def train(prepared_checkout, tmp_path, monkeypatch):
    """Train a model for eight iterations; gives its best weights and its history."""
    monkeypatch.chdir(prepared_checkout.root)
    # between the two interruptions
    monkeypatch.setattr(deciding, "IN_FLOAT32", 4)
    manifest = prepared_checkout.root.joinpath("results/datasets/tiny_rural/manifest.json")
    manifest = manifest.relative_to(prepared_checkout.root)

    def run(name, model, **options):
        settings = {"crop_size": (64, 64), "batch_size": 2, "max_iters": 8, "val_interval": 2}
        settings["precision"] = "float32"
        wanted = recipe_of(
            run="m/scratch/seed0", initialization="scratch", seed=0, **settings | options
        )
        config, folder = tmp_path / f"{name}.py", tmp_path / name
        config.write_text(render(config_path(model), manifest, wanted))
        folder.mkdir(exist_ok=True)
        training.train(
            config, manifest, folder, tmp_path / f"work-{name}", "code", Execution(threads=1)
        )
        weights = torch.load(folder / "best.pth", weights_only=True)
        return weights, (folder / "history.csv").read_text()

    return run


@pytest.fixture
def interrupted_at(monkeypatch):
    """Have trainings interrupted before some iterations, once before each."""
    seed, left = trainer._seed_everything, list[int]()

    def interrupted(run_seed, iteration, *rank):
        if iteration in left:
            left.remove(iteration)
            raise KeyboardInterrupt
        seed(run_seed, iteration, *rank)

    monkeypatch.setattr(trainer, "_seed_everything", interrupted)
    return left


def ends_the_same(train, interrupted_at, model, **options):
    whole, history = train("whole", model, **options)
    interrupted_at += [3, 5]
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train("broken", model, **options)
    resumed, again = train("broken", model, **options)
    assert interrupted_at == []
    assert again == history
    assert resumed["meta"] == whole["meta"]
    assert resumed["state_dict"].keys() == whole["state_dict"].keys()
    for key, value in whole["state_dict"].items():
        assert torch.equal(resumed["state_dict"][key], value), key


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_model_of_the_zoo(train, interrupted_at, model):
    ends_the_same(train, interrupted_at, model)


@pytest.mark.parametrize(("model", "small"), HEADS.values(), ids=HEADS)
def test_a_head(train, interrupted_at, model, small):
    ends_the_same(train, interrupted_at, model, overrides={"model": small})


def test_layers_that_learn_at_rates_of_their_own(train, interrupted_at):
    ends_the_same(train, interrupted_at, BEIT, overrides={"model": SMALL_BEIT})


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling needs g++")
def test_a_compiled_network(train, interrupted_at):
    # with its first stage alone: all of its layers are compiled for minutes
    few = {
        "backbone": {"num_stages": 1, "strides": [1], "dilations": [1], "out_indices": [0]},
        "decode_head": {"in_channels": 64, "in_index": 0, "channels": 8},
        "auxiliary_head": {"in_channels": 64, "in_index": 0, "channels": 8},
    }
    # compiled for float32 first, and then for mixed precision
    ends_the_same(
        train, interrupted_at, FCN, compile=True, precision="bfloat16", overrides={"model": few}
    )


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_an_option_of_a_training(train, interrupted_at, options):
    # the one that stops early does so after iteration 6, and is interrupted before
    ends_the_same(train, interrupted_at, CGNET, **options)
