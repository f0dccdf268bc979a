"""A model of every family of the zoo is built, takes a training step, and predicts an image.

Their maps lie in memory as in a training.
"""

import pytest
from helpers import manifest_of, recipe_of

from segbench.engine.preflight import ModelCheck, preflight
from segbench.recipe.render import render
from segbench.zoo.index import all_published
from segbench.zoo.names import config_path

# one of each family that needs nothing further, not a deep one where there are others
OF_EACH_FAMILY = {
    entry.family: entry.config
    for entry in sorted(all_published(), key=lambda entry: "101" in entry.backbone, reverse=True)
    if entry.available and not entry.needs
}
# LR-ASPP pools 49x49 pixels at an eighth of the resolution
CROPS = {"LRASPP": (400, 416)}


@pytest.mark.parametrize("family", OF_EACH_FAMILY)
def test_it_is_built_trained_and_predicts(tmp_path, family):
    crop = CROPS.get(family, (64, 96))
    manifest, config = tmp_path / "manifest.json", tmp_path / "config.py"
    # no side is a multiple of anything
    manifest_of(7, image_sizes=[[crop[0] + 11, crop[1] - 1, 9]]).write(manifest)
    recipe = recipe_of(
        run="m/scratch/seed0", initialization="scratch", seed=0, crop_size=crop, batch_size=2,
        max_iters=100,
    )  # fmt: skip
    config.write_text(render(config_path(OF_EACH_FAMILY[family]), manifest, recipe))
    preflight(config, manifest, tmp_path / "report.json")
    assert ModelCheck.read(tmp_path / "report.json").parameters > 1e5
