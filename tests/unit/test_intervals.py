"""How often the intervals of a comparison hold the truth, on simulated models whose truth is known.

A model has a skill per class that every training shifts at random; an image has a difficulty per
class, which all models share, and shows only some classes. The truth is the mean IoU over very many
images and trainings.
"""

import functools

import numpy as np
import pytest

from segbench.scores.bootstrap import Interval, bootstrap_mean_iou
from segbench.scores.metrics import mean_iou

SKILL = np.array([0.9, 0.8, 0.7, 0.6])
PIXELS, REPEATS, DRAWS = 1000, 300, 400
# three standard deviations of a coverage of 95 % that is counted in so many repeats
CHANCE = 3 * np.sqrt(0.95 * 0.05 / REPEATS)


def some_images(rng, count, rare):
    """Pixels of each class and difficulty of each class, by image; one class is in few images."""
    shown = rng.random((count, 4)) < np.array([1, 0.9, 0.6, rare])
    amount = rng.gamma(2.0, 1.0, (count, 4)) * shown
    return PIXELS * amount / amount.sum(1, keepdims=True), rng.normal(0, 0.08, (count, 4))


def trained(rng, images, spread, ahead=0.0):
    """The matrices per image of one training of a model."""
    pixels, difficulty = images
    skill = SKILL + ahead + rng.normal(0, spread, 4)
    right = np.clip(skill + difficulty + rng.normal(0, 0.03, pixels.shape), 0.02, 0.99)
    whole = np.round(pixels).astype(np.int64)
    hits = np.round(whole * right).astype(np.int64)
    counts = np.zeros((len(whole), 4, 4), np.int64)
    for i in range(4):
        counts[:, i, i] = hits[:, i]
        counts[:, i, (i + 1) % 4] += whole[:, i] - hits[:, i]
    return counts


def over_all(*arguments, **settings):
    return bootstrap_mean_iou(*arguments, **settings).over_all


@functools.cache
def truth(spread, rare, ahead=0.0):
    rng = np.random.default_rng(99)
    return np.mean(
        [
            mean_iou(trained(rng, some_images(rng, 10_000, rare), spread, ahead).sum(0))
            for _ in range(200)
        ]
    )


def drawn(rng, images, seeds, spread, name, ahead=0.0):
    runs = [(0, trained(rng, images, spread, ahead)) for _ in range(seeds)]
    return over_all(runs, DRAWS, seed=int(rng.integers(2**31)), name=name)


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(
    ("images", "spread", "rare"),
    [(30, 0.02, 0.3), (100, 0.02, 0.3), (100, 0.06, 0.1), (500, 0.02, 0.1)],
    ids=["30 images", "100 images", "a class in few images, wide seeds", "500 images"],
)
def test_an_interval_holds_the_truth_about_as_often_as_it_says(images, spread, rare, seeds):
    rng = np.random.default_rng(1)
    wanted, held = truth(spread, rare), 0
    for _ in range(REPEATS if images < 500 else REPEATS // 3):
        found = Interval.of(drawn(rng, some_images(rng, images, rare), seeds, spread, "a"))
        held += found.low <= wanted <= found.high
    share = held / (REPEATS if images < 500 else REPEATS // 3)
    assert 0.95 - 0.02 - CHANCE <= share <= 0.95 + 0.02 + CHANCE


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_interval_of_a_difference_holds_the_truth_as_often_as_it_says(seeds):
    rng = np.random.default_rng(2)
    wanted, held = truth(0.02, 0.3, 0.03) - truth(0.02, 0.3), 0
    for _ in range(REPEATS):
        images = some_images(rng, 60, 0.3)  # the same for both models
        seed = int(rng.integers(2**31))
        ours, theirs = (
            over_all(
                [(0, trained(rng, images, 0.02, ahead)) for _ in range(seeds)], DRAWS, seed, name
            )
            for name, ahead in (("a", 0.03), ("b", 0.0))
        )
        found = Interval.of(ours - theirs)
        held += found.low <= wanted <= found.high
    assert 0.95 - 0.02 - CHANCE <= held / REPEATS <= 1.0


def test_seeds_that_differ_more_than_the_images_do_widen_the_interval():
    """Two models with the same images, whose seeds are 25 points apart: nothing is certain."""
    images = some_images(np.random.default_rng(3), 200, 0.3)
    apart = [trained(np.random.default_rng(i), images, 0.0, ahead) for i, ahead in
             enumerate((-0.25, 0.0))]  # fmt: skip
    alike = [trained(np.random.default_rng(i), images, 0.0, -0.125) for i in range(2)]
    gap = Interval.of(
        over_all([(0, one) for one in apart], name="apart")
        - over_all([(0, one) for one in alike], name="alike")
    )
    assert gap.low < -0.3 < 0 < 0.3 < gap.high


def test_with_images_that_are_all_alike_it_is_students_interval_of_the_seeds():
    accuracies = np.array([52, 55, 61])
    runs = [(0, np.array([[[a, 100 - a], [0, 0]]] * 20, np.int64)) for a in accuracies]
    found = Interval.of(over_all(runs, 40_000, name="x"))
    half = 4.3027 * accuracies.std(ddof=1) / np.sqrt(3)  # t of 97.5 % at two degrees of freedom
    assert 100 * found.low == pytest.approx(accuracies.mean() - half, abs=0.5)
    assert 100 * found.high == pytest.approx(accuracies.mean() + half, abs=0.5)


def test_one_seed_says_nothing_of_training():
    images = some_images(np.random.default_rng(4), 50, 0.3)
    run = [(0, trained(np.random.default_rng(5), images, 0.1))]
    assert (over_all(run, 100, name="a") == over_all(run, 100, name="b")).all()


def of_drives(rng, drives, each, spread=0.06):
    """Matrices per image of a training on images whose difficulty is that of their drive."""
    pixels, _ = some_images(rng, drives * each, 0.6)
    difficulty = np.repeat(rng.normal(0, spread, (drives, 4)), each, axis=0)
    groups = [f"drive {i}" for i in range(drives) for _ in range(each)]
    return trained(rng, (pixels, difficulty), 0.0), groups


@functools.cache
def truth_of_drives():
    rng = np.random.default_rng(98)
    return float(np.mean([mean_iou(of_drives(rng, 2000, 5)[0].sum(0)) for _ in range(20)]))


@pytest.mark.parametrize(("drives", "least"), [(12, 0.89), (40, 0.93)])
def test_images_of_one_drive_are_alike_so_drives_are_drawn(drives, least):
    rng, held = np.random.default_rng(2), {"drives": 0, "images": 0}
    for _ in range(REPEATS):
        counts, groups = of_drives(rng, drives, 10)
        for unit, by_fold in (("drives", {0: groups}), ("images", None)):
            draws = over_all([(0, counts)], DRAWS, seed=int(rng.integers(2**31)), groups=by_fold)
            found = Interval.of(draws)
            held[unit] += found.low <= truth_of_drives() <= found.high
    shares = {unit: count / REPEATS for unit, count in held.items()}
    print(f"{drives} drives: {shares}")
    assert least - CHANCE <= shares["drives"] <= 0.97 + CHANCE
    # what a bootstrap of single images would claim
    assert shares["images"] < 0.75


def test_few_drives_and_drives_of_one_image_are_not_drawn():
    rng = np.random.default_rng(3)
    counts, groups = of_drives(rng, 9, 4)
    plain = over_all([(0, counts)], DRAWS)
    assert np.array_equal(over_all([(0, counts)], DRAWS, groups={0: groups}), plain)
    own = [str(i) for i in range(36)]
    assert np.array_equal(over_all([(0, counts)], DRAWS, groups={0: own}), plain)


def test_models_are_scored_on_the_same_drives():
    rng = np.random.default_rng(4)
    counts, groups = of_drives(rng, 12, 3)
    ahead = counts.copy()
    ahead[:, 0, 0] += 5  # a little better on every image
    first, second = (
        over_all([(0, c)], DRAWS, name=name, groups={0: groups})
        for c, name in ((ahead, "a"), (counts, "b"))
    )
    assert (first > second).all()
