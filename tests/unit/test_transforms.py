"""Transforms that compute only what is seen give what MMSegmentation's own give, draw for draw."""

import itertools
import random

import cv2
import numpy as np
import pytest
from mmengine.dataset import Compose

from segbench.engine import transforms
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
    assert (reason, [step["type"] for step in fast]) == ("", ["CropOfResized", "FlippedByOpenCV"])
    stock, ours = Compose(steps), Compose(fast)
    image, label = scene(size)
    for seed in range(40):
        theirs, found = sample(stock, image, label, seed), sample(ours, image, label, seed)
        assert np.array_equal(found["gt_seg_map"], theirs["gt_seg_map"])
        assert np.abs(found["img"].astype(int) - theirs["img"]).max() <= 1
        for key in ("img_shape", "scale", "scale_factor", "flip", "flip_direction", "keep_ratio"):
            assert found[key] == theirs[key], key


@pytest.mark.parametrize("axes", [(), (0,), (0, 1)])
def test_any_window_is_that_of_the_resized_whole_within_a_level(axes, monkeypatch):
    """Also where an axis has no border of pixels near the window."""
    start = transforms._start
    calls = itertools.count()
    monkeypatch.setattr(
        transforms, "_start", lambda *asked: None if next(calls) % 2 in axes else start(*asked)
    )
    image, _ = scene((227, 320))
    rng = np.random.default_rng(0)
    for ratio in np.linspace(0.5, 2, 40):
        height, width = int(227 * ratio), int(320 * ratio)
        top, left = rng.integers(0, height - 100), rng.integers(0, width - 120)
        window = slice(top, top + 100), slice(left, left + 120)
        whole = cv2.resize(image, (width, height))[window].astype(int)
        part = transforms.part_of_resized(image, (height, width), window)
        assert part.shape == (100, 120, 3)
        assert np.abs(whole - part).max() <= 1


@pytest.mark.parametrize("shape", [(40, 50, 3), (40, 50, 1), (40, 50)])
def test_packed_samples_are_equal_to_the_bit(shape):
    steps = [{"type": "PackSegInputs"}]
    stock, ours = Compose(steps), Compose(computed_here(steps)[0])
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    label = pixels.reshape(40, 50, -1)[..., 0]
    theirs, found = (sample(one, pixels, label, 0) for one in (stock, ours))
    assert found["inputs"].is_contiguous()
    assert np.array_equal(found["inputs"], theirs["inputs"])
    one, other = found["data_samples"], theirs["data_samples"]
    assert np.array_equal(one.gt_sem_seg.data, other.gt_sem_seg.data)
    assert one.metainfo == other.metainfo


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
    published = {"FlippedByOpenCV": "RandomFlip"}  # equal to the bit, see above
    assert [{**one, "type": published.get(one["type"], one["type"])} for one in found] == steps
    assert reason in said


@pytest.mark.parametrize(
    "step",
    [
        FLIP,
        {**FLIP, "prob": 0.3, "direction": "vertical"},
        {**FLIP, "direction": "diagonal"},
        {**FLIP, "prob": 0.9, "direction": ["horizontal", "vertical"]},
        {**FLIP, "prob": [0.2, 0.5], "direction": ["vertical", "diagonal"]},
        {**FLIP, "swap_seg_labels": [(1, 2)]},
    ],
)
@pytest.mark.parametrize("channels", [3, 1])
def test_flips_are_equal_to_the_bit_and_to_the_draw(step, channels):
    stock, ours = Compose([step]), Compose(computed_here([step])[0])
    image, label = scene((41, 50))
    image = image[..., :channels]
    flipped = 0
    for seed in range(60):
        theirs, its_next = sample(stock, image, label, seed), np.random.random_sample()
        found, our_next = sample(ours, image, label, seed), np.random.random_sample()
        assert our_next == its_next
        assert np.array_equal(found["img"], theirs["img"])
        assert np.array_equal(found["gt_seg_map"], theirs["gt_seg_map"])
        for key in ("flip", "flip_direction", "swap_seg_labels"):
            assert found.get(key) == theirs.get(key)
        flipped += found["flip"]
    assert 10 < flipped < 60


def test_a_map_of_other_numbers_is_flipped_as_it_is():
    stock, ours = Compose([FLIP]), Compose(computed_here([FLIP])[0])
    image, label = scene((41, 50))
    depth = label.astype(np.int64) << 40
    for seed in range(6):
        found = []
        for pipeline in (stock, ours):
            np.random.seed(seed)
            given = {"img": image, "gt_seg_map": label, "gt_depth_map": depth}
            given["seg_fields"] = ["gt_seg_map", "gt_depth_map", "absent"]
            found.append(pipeline(given))
        for key in ("img", "gt_seg_map", "gt_depth_map"):
            assert found[0][key].dtype == found[1][key].dtype
            assert np.array_equal(found[0][key], found[1][key])


def fills_too_much(label, ratio):
    """MMSegmentation's rule for a window."""
    ids, counts = np.unique(label, return_counts=True)
    counts = counts[ids != 255]
    return not (len(counts) > 1 and counts.max() / counts.sum() < ratio)


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.75])
def test_a_window_is_taken_by_the_published_rule(ratio):
    rng = np.random.default_rng(0)
    taken = []
    for _ in range(400):
        # few or many classes, one of which is large; some windows are void, or of one class
        shares = rng.dirichlet(np.full(rng.integers(1, 9), rng.choice([0.3, 3, 30])))
        ids = rng.choice([*range(9), 255], len(shares), replace=False)
        rows = rng.choice(ids, int(rng.integers(17, 60)), p=shares)
        label = np.repeat(rows[:, None], int(rng.integers(17, 60)), axis=1).astype(np.uint8)
        label[:: int(rng.integers(3, 40))] = rng.choice(ids)
        taken.append(transforms.is_mixed(label, ratio, 255))
        assert taken[-1] == (not fills_too_much(label, ratio))
    assert 60 < sum(taken) < 340


def test_a_class_of_exactly_the_share_is_too_large():
    label = np.repeat(np.array([0, 0, 0, 1], np.uint8), 16)[None].repeat(64, 0)
    assert not transforms.is_mixed(label, 0.75, 255)
    assert transforms.is_mixed(label, 0.7501, 255)
    label[label == 0] = 255  # what is left is of one class
    assert not transforms.is_mixed(label, 0.75, 255)
    assert not transforms.is_mixed(np.full((64, 64), 255, np.uint8), 0.75, 255)


@pytest.mark.parametrize("contiguous", [True, False])
def test_products_and_sums_of_pixels_are_those_of_the_published_transform(contiguous):
    """Also of factors whose products are whole numbers, where rounding and cutting differ."""
    from mmseg.datasets.transforms import PhotoMetricDistortion

    from segbench.engine.equal_transforms import PhotoMetricTables

    stock, ours = PhotoMetricDistortion(), PhotoMetricTables()
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    pixels = pixels if contiguous else np.dstack([pixels, pixels])[:, :, :3]
    rng = np.random.default_rng(0)
    factors = [0.5, 1.0, 1.25, 1.5, 1 / 3, *rng.uniform(0.5, 1.5, 200)]
    sums = [0, -32, 32, 0.5, -0.5, 1e-9, -1e-9, *rng.uniform(-32, 32, 200)]
    for asked in [{"alpha": a} for a in factors] + [{"beta": b} for b in sums]:
        assert np.array_equal(ours.convert(pixels, **asked), stock.convert(pixels, **asked)), asked
