"""Rare class sampling, from the config to the images of a batch."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers import manifest_of
from layouts import write_image, write_index
from mmseg.registry import DATA_SAMPLERS, DATASETS

from segbench.config.schema import parse_section
from segbench.datasets.description import DatasetDescription
from segbench.datasets.prepare import prepare
from segbench.engine.build import load_config, training_loader
from segbench.plan.load import load_experiment
from segbench.plan.run_settings import settings_of
from segbench.plan.runs import RunKey
from segbench.plan.starts import StartingPoints
from segbench.recipe.class_weights import rare_class_probabilities
from segbench.recipe.context import Recipe
from segbench.recipe.render import render
from segbench.zoo.names import config_path

TEMPERATURE = 0.1
CGNET = "cgnet_fcn_4xb8-60k_cityscapes-512x1024"
DESCRIPTION = {
    "name": "roads",
    "source": "roads",
    "images": "{split}/{frame}.png",
    "labels": {"format": "index", "path": "{split}_label/{frame}.png"},
    "classes": {
        "classes": [
            {"name": name, "color": [i, i, i]}
            for i, name in enumerate(["road", "tree", "cow", "never"])
        ]
    },
}


def label_of(index: int) -> np.ndarray:
    """A road, trees on every second image, a small cow on two of twenty, some void."""
    label = np.zeros((40, 50), np.uint8)
    label[:, :5] = 255
    if index % 2:
        label[:, 25:] = 1
    if index in (4, 11):
        label[:4, 10:15] = 2
    return label


LABELS = [label_of(index) for index in range(20)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """Twenty images to train on; the validation frame shares the name of one of them."""
    folder = tmp_path_factory.mktemp("rare")
    for i, label in enumerate(LABELS):
        write_image(folder / f"raw/train/{i:02}.png", i, (40, 50))
        write_index(folder / f"raw/train_label/{i:02}.png", label)
    write_image(folder / "raw/val/04.png", 99, (40, 50))
    write_index(folder / "raw/val_label/04.png", LABELS[0])
    prepare(parse_section(DatasetDescription, DESCRIPTION, "x"), folder / "raw", folder / "out")
    return folder / "out"


def rendered(prepared: Path, folder: Path, seed: int = 0, **training):
    """A config as the workflow would render it for these training settings."""
    settings = {"crop_size": [32, 32], "batch_size": 4, "max_iters": 20} | training
    data = {"experiment": "x", "dataset": "d.yaml", "models": {"m": CGNET}, "training": settings}
    experiment = load_experiment(yaml.safe_load(yaml.safe_dump(data)))
    description = parse_section(DatasetDescription, DESCRIPTION, "roads.yaml")
    starts = StartingPoints(experiment, description, None, "results/x")
    settings = settings_of(starts, RunKey("m", "scratch", seed))
    recipe = Recipe.of("r", 32, settings)
    path = folder / f"config{seed}.py"
    path.write_text(render(config_path(CGNET), prepared / "manifest.json", recipe))
    return load_config(path)


def expected_probabilities() -> list[float]:
    """DAFormer's formula, written out: exp((1 - f) / T), normalised over what is there."""
    pixels = [sum(int((label == k).sum()) for label in LABELS) for k in range(4)]
    rates = [math.exp((1 - n / sum(pixels)) / TEMPERATURE) if n else 0 for n in pixels]
    return [rate / sum(rates) for rate in rates]


def frames_of_batches(loader) -> list[int]:
    """Which images the batches of a loader hold, in their order."""
    return [int(Path(sample.img_path).stem) for batch in loader for sample in batch["data_samples"]]


def test_rare_class_probabilities_equal_those_worked_out_by_hand():
    manifest = manifest_of(7, train={"class_pixels": [400, 200, 100, 100, 100, 100, 0]})
    # relative to a share of 0.1: exp(-3) = 0.049787, exp(-1) = 0.367879, 1 four times; in all
    # 4.417666, and a class that is not there is never drawn
    expected = [0.011270, 0.083275, 0.226364, 0.226364, 0.226364, 0.226364, 0]
    assert rare_class_probabilities(0.1, manifest) == pytest.approx(expected, abs=2e-6)
    # at a low temperature only the rarest are left, and nothing overflows
    coldest = rare_class_probabilities(1e-5, manifest)
    assert coldest == [0, 0, 0.25, 0.25, 0.25, 0.25, 0]


def test_the_config_says_what_is_drawn(prepared, tmp_path):
    config = rendered(prepared, tmp_path, rare_class_sampling="1e-1")
    probabilities = config.train_dataloader.sampler.probabilities
    assert probabilities == pytest.approx(expected_probabilities(), abs=1e-6)
    assert probabilities[3] == 0
    note = "rare class sampling at temperature 0.1: a class is drawn with "
    assert any(one.startswith(note) for one in config.segbench.adaptations)
    plain = rendered(prepared, tmp_path)
    assert plain.train_dataloader.sampler.type == "InfiniteSampler"


def test_images_with_the_rare_class_come_as_often_as_the_formula_says(prepared, tmp_path):
    config = rendered(prepared, tmp_path, rare_class_sampling=TEMPERATURE)
    # as MMSegmentation's own runner builds it
    frames = DATASETS.build(config.train_dataloader.dataset)
    sampler = DATA_SAMPLERS.build(
        config.train_dataloader.sampler, default_args={"dataset": frames, "seed": 1}
    )
    count = 20_000
    drawn = np.bincount([*itertools.islice(sampler, count)], minlength=20) / count

    shows = np.array([[bool((label == k).any()) for label in LABELS] for k in range(3)])
    # each image: over the classes that it shows, their probability shared among their images
    expected = sum(
        p * shown / shown.sum()
        for p, shown in zip(expected_probabilities()[:3], shows, strict=True)
    )
    # five standard deviations of a binomial share
    assert np.abs(drawn - expected).max() < 5 * np.sqrt(expected.max() / count)
    with_cow = shows[2]
    # two of twenty images, and yet nearly every second draw
    assert expected[with_cow].sum() > 0.4
    assert drawn[with_cow].sum() == pytest.approx(expected[with_cow].sum(), abs=0.02)


def test_the_order_is_reproducible_and_goes_on_where_it_stopped(prepared, tmp_path):
    config = rendered(prepared, tmp_path, rare_class_sampling=TEMPERATURE)
    whole = frames_of_batches(training_loader(config, 7, 0, 12, workers=0))
    assert len(whole) == 48
    assert frames_of_batches(training_loader(config, 7, 0, 12, workers=2)) == whole
    assert frames_of_batches(training_loader(config, 7, 5, 12, workers=0)) == whole[20:]
    assert frames_of_batches(training_loader(config, 8, 0, 12, workers=0)) != whole
    # the images with a cow are in there far more often than a tenth of the time
    assert sum(frame in (4, 11) for frame in whole) > 12


def test_without_rare_class_sampling_every_image_is_seen_once_in_each_epoch(prepared, tmp_path):
    config = rendered(prepared, tmp_path)
    seen = frames_of_batches(training_loader(config, 7, 0, 10, workers=0))
    assert sorted(seen[:20]) == sorted(seen[20:]) == list(range(20))
