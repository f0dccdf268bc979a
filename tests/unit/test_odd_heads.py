"""Heads and losses that cannot learn what they should are refused, with the key's name."""

import pytest
from helpers import manifest_of, recipe_of
from mmengine.config import Config

from segbench.engine.build import build_model, load_config
from segbench.errors import ModelError
from segbench.recipe.overrides import merge_overrides
from segbench.recipe.render import render
from segbench.zoo.names import config_path

FAST_SCNN = config_path("fast_scnn_8xb4-160k_cityscapes-512x1024")
ODD = [
    ({"decode_head": []}, r"`model\.decode_head`: is an empty list; it must be a mapping"),
    ({"decode_head": None}, r"`model\.decode_head`: is None; it must be a mapping"),
    ({"decode_head": "x"}, r"`model\.decode_head`: is 'x'; it must be"),
    ({"decode_head": [1]}, r"`model\.decode_head`: is a list with something else in it"),
    ({"decode_head": {"loss_decode": []}}, r"`model\.decode_head\.loss_decode`: is an empty list"),
    (
        {"decode_head": {"ignore_index": 0}},
        r"`model\.decode_head\.ignore_index`: is 0, but void is 255 in every prepared",
    ),
    (
        {"decode_head": {"loss_decode": {"type": "DiceLoss", "ignore_index": 3}}},
        r"`model\.decode_head\.loss_decode\.ignore_index`: is 3, but void is 255",
    ),
]


@pytest.mark.parametrize(("model", "message"), ODD)
def test_a_dry_run_refuses_an_odd_head_in_overrides(model, message):
    with pytest.raises(ModelError, match=message):
        merge_overrides(Config.fromfile(str(FAST_SCNN)), {"model": model})


def rendered(tmp_path, config) -> Config:
    """The config of a run, rendered from a zoo config or a user's own."""
    manifest_of(7).write(tmp_path / "manifest.json")
    recipe = recipe_of(
        run="m/scratch/seed0", initialization="scratch", seed=0, crop_size=(64, 64), batch_size=2
    )
    return Config.fromstring(render(config, tmp_path / "manifest.json", recipe), ".py")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda model: model.update(decode_head=[]),
            r"`model\.decode_head`: is an empty list",
        ),
        (
            lambda model: model.auxiliary_head[1].update(ignore_index=0),
            r"`model\.auxiliary_head\[1\]\.ignore_index`: is 0",
        ),
    ],
)
def test_an_odd_head_in_a_config_of_ones_own_is_refused(tmp_path, change, message):
    config = Config.fromfile(str(FAST_SCNN))
    change(config.model)
    config.dump(tmp_path / "own.py")
    with pytest.raises(ModelError, match=message):
        rendered(tmp_path, tmp_path / "own.py")


def test_what_says_the_usual_is_accepted():
    merge_overrides(
        Config.fromfile(str(FAST_SCNN)),
        {"model": {"decode_head": {"ignore_index": 255}, "auxiliary_head": []}},
    )


def test_a_model_that_cannot_be_built_is_not_said_to_lack_a_package(tmp_path):
    config = rendered(tmp_path, FAST_SCNN)
    config.model.decode_head = []
    config.dump(tmp_path / "config.py")
    config = load_config(tmp_path / "config.py")
    with pytest.raises(ModelError, match="cannot be built: AttributeError"):
        build_model(config)
