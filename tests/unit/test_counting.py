"""Pixels are counted along edges and at other sizes as the published definitions say."""

import cv2
import numpy as np
import pytest
from PIL import Image

from segbench.engine.counting import Scale, boundary_counts, nearest
from segbench.scores.metrics import boundary_iou

SHAPES = [(37, 53), (128, 256), (227, 320)]


def blobs(shape, seed, classes=4):
    """Areas of some classes, with a few pixels that are ignored."""
    noise = np.random.default_rng(seed).random((6, 8)).astype(np.float32)
    smooth = cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth * classes, 0, classes - 1).astype(np.uint8)


def published_boundary(mask):
    """The mask less its erosion, as in the authors' code: 3x3 squares, over a padded image."""
    height, width = mask.shape
    steps = max(1, round(0.02 * np.sqrt(height**2 + width**2)))
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=steps)[1:-1, 1:-1]
    return (mask - eroded).astype(bool)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_edges_are_those_of_the_published_boundary_iou(shape):
    truth, predicted = blobs(shape, 0), blobs(shape, 1)
    counts = boundary_counts(truth, predicted, 4)
    for i in range(4):
        ours, theirs = (
            published_boundary((ids == i).astype(np.uint8)) for ids in (truth, predicted)
        )
        assert counts[i].tolist() == [(ours & theirs).sum(), ours.sum(), theirs.sum()]
        assert boundary_iou(counts)[i] == (ours & theirs).sum() / (ours | theirs).sum()


def test_what_the_truth_ignores_has_an_edge_in_both():
    truth = np.zeros((50, 50), np.uint8)
    truth[:, 25:] = 255
    # a perfect prediction stays perfect, whatever it says where nothing is scored
    predicted = truth.copy()
    predicted[:, 25:] = np.arange(25) % 2
    assert boundary_iou(boundary_counts(truth, predicted, 2))[0] == 1
    assert np.isnan(boundary_iou(boundary_counts(truth, predicted, 2))[1])


@pytest.mark.parametrize("size", [(128, 256), (720, 1280)], ids=str)
def test_another_size_takes_the_nearest_pixel_as_pillow_does(size):
    ids = blobs((227, 320), 2, classes=20)
    again = Image.fromarray(ids).resize(size[::-1], Image.Resampling.NEAREST)
    assert np.array_equal(nearest(ids, size), np.asarray(again))


def test_both_maps_are_brought_to_the_size_that_is_scored():
    truth, predicted = blobs((227, 320), 3), blobs((227, 320), 4)
    counted = Scale(4, size=(128, 256)).count(truth, predicted)
    small = [
        np.asarray(Image.fromarray(ids).resize((256, 128), Image.Resampling.NEAREST))
        for ids in (truth, predicted)
    ]
    expected = np.zeros((4, 4), np.int64)
    np.add.at(expected, (small[0].ravel(), small[1].ravel()), 1)
    assert np.array_equal(counted.confusion, expected)
    assert np.array_equal(counted.boundary, boundary_counts(*small, 4))
