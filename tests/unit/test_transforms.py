"""Transforms that compute only what is seen give what MMSegmentation's own give, draw for draw."""

import random

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose

from segbench.engine.build import init_default_scope
from segbench.engine.transforms import computed_here

PLAIN = {"type": "RandomResize", "ratio_range": (0.5, 2.0), "keep_ratio": True}
FLIP, COLOURS = {"type": "RandomFlip", "prob": 0.5}, {"type": "PhotoMetricDistortion"}


@pytest.fixture(autouse=True)
def _in_the_scope_of_mmseg():
    init_default_scope("mmseg")


def recipe(size, crop, ratio=0.75):
    crop_step = {"type": "RandomCrop", "crop_size": crop, "cat_max_ratio": ratio}
    return [{**PLAIN, "scale": size[::-1]}, crop_step, FLIP, COLOURS]


def scene(size, seed=0):
    """A smooth image, and a label of few large areas with void between them."""
    height, width = size
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    areas = rng.choice(
        np.array([0, 0, 0, 1, 2, 255], np.uint8), (height // 40 + 2, width // 40 + 2)
    )
    return (
        cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC),
        cv2.resize(areas, (width, height), interpolation=cv2.INTER_NEAREST),
    )


def sample(pipeline, image, label, seed):
    np.random.seed(seed)
    random.seed(seed)
    return pipeline(
        {
            "img": image.copy(), "gt_seg_map": label.copy(), "seg_fields": ["gt_seg_map"],
            "img_shape": image.shape[:2], "ori_shape": image.shape[:2],
        }
    )  # fmt: skip


SIZES = [((227, 320), (192, 256)), ((270, 480), (128, 128)), ((90, 60), (128, 128)),
         ((101, 333), (64, 300))]  # fmt: skip


@pytest.mark.parametrize("ratio", [0.75, 1.0])
@pytest.mark.parametrize(("size", "crop"), SIZES)
def test_labels_windows_and_flips_are_equal_and_pixels_within_a_level(size, crop, ratio):
    steps = recipe(size, crop, ratio)[:3]
    fast, reason = computed_here(steps)
    assert (reason, [step["type"] for step in fast]) == ("", ["CropOfResized", "RandomFlip"])
    stock, ours = Compose(steps), Compose(fast)
    image, label = scene(size)
    for seed in range(40):
        theirs, found = sample(stock, image, label, seed), sample(ours, image, label, seed)
        assert np.array_equal(found["gt_seg_map"], theirs["gt_seg_map"])
        assert np.abs(found["img"].astype(int) - theirs["img"]).max() <= 1
        for key in ("img_shape", "scale", "scale_factor", "flip", "flip_direction", "keep_ratio"):
            assert found[key] == theirs[key], key


def test_changes_of_colour_are_equal_to_the_bit():
    stock, (fast, _) = Compose([COLOURS]), computed_here([COLOURS])
    ours = Compose(fast)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    for seed in range(200):
        theirs, found = (sample(one, pixels, pixels[..., 0], seed) for one in (stock, ours))
        assert np.array_equal(found["img"], theirs["img"])


CROP = {"type": "RandomCrop", "crop_size": (64, 64), "cat_max_ratio": 0.75}
SCALED = {**PLAIN, "scale": (96, 64)}


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ([{"type": "Resize", "scale": (96, 64)}, CROP], "its transforms are Resize, RandomCrop"),
        ([SCALED, FLIP, CROP], "in a way of its own"),
        ([CROP, SCALED], "in a way of its own"),
        ([{**SCALED, "keep_ratio": False}, CROP], "in a way of its own"),
        ([{**SCALED, "scale": [(96, 64), (64, 96)]}, CROP], "in a way of its own"),
        ([{**SCALED, "interpolation": "area"}, CROP], "in a way of its own"),
        ([SCALED, {**CROP, "cat_max": 1}], "in a way of its own"),
        ([SCALED], "its transforms are RandomResize"),
    ],
)
def test_a_recipe_of_another_kind_is_left_as_it_is_and_says_so(steps, reason):
    found, said = computed_here(steps)
    assert found == steps
    assert reason in said
