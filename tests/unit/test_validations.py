"""How often a training is validated where its config does not say."""

import pytest
from helpers import manifest_of, recipe_of

from segbench.recipe.render import adapted
from segbench.zoo.names import config_path

FAST_SCNN = config_path("fast_scnn_8xb4-160k_cityscapes-512x1024")


@pytest.mark.parametrize(
    ("iterations", "images", "interval"),
    [
        # 4 crops of 100x200 make 80,000 pixels an iteration, which cost as much as 240,000 to
        # predict; an image of 200x300 has 60,000, so one image is predicted in 1/4 iteration
        (1000, 20, 100),  # a tenth, 100 iterations, is time for 20 validations: ten are enough
        (1000, 50, 125),  # ... for 8 of 12.5 iterations each
        (1000, 1000, 334),  # ... for none of 250, yet three are made
        (5, 1000, 2),
        (1, 1000, 1),
    ],
)
def test_validations_take_a_tenth_of_the_time_but_are_three_at_least(
    tmp_path, iterations, images, interval
):
    manifest = manifest_of(7, image_sizes=[[200, 300, 9]])
    val = manifest.splits["val"].model_copy(update={"images": images})
    manifest = manifest.model_copy(update={"splits": manifest.splits | {"val": val}})
    manifest.write(tmp_path / "manifest.json")
    recipe = recipe_of(
        run="m/scratch/seed0", initialization="scratch", seed=0, crop_size=(100, 200),
        batch_size=4, max_iters=iterations,
    )  # fmt: skip
    config = adapted(FAST_SCNN, tmp_path / "manifest.json", recipe)
    assert config.train_cfg["val_interval"] == interval


def test_crops_that_grow_are_worth_fewer_validations(tmp_path):
    manifest_of(7, image_sizes=[[200, 200, 9]]).write(tmp_path / "manifest.json")
    # 9 images of 200x200 are predicted in 120,000 / (4 * 128 * 128 * 3) = 1.83 iterations, so a
    # tenth of 100 is time for 5; seven tenths of it, when crops grow from halves, for 3
    intervals = []
    for growing_crop in (None, 0.5):
        recipe = recipe_of(
            run="m/scratch/seed0", initialization="scratch", seed=0, crop_size=(128, 128),
            batch_size=4, max_iters=100, growing_crop=growing_crop,
        )  # fmt: skip
        config = adapted(FAST_SCNN, tmp_path / "manifest.json", recipe)
        intervals.append(config.train_cfg["val_interval"])
    assert intervals == [20, 34]
