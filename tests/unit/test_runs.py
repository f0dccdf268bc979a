"""Maps of class ids are counted and told apart by their runs."""

import numpy as np
import pytest

from segbench.datasets.runs import runs_of

NOISE = np.random.default_rng(0).integers(0, 256, (37, 53)).astype(np.uint8)
AREAS = np.repeat(np.repeat(NOISE[:5, :7], 9, axis=0), 6, axis=1)
MAPS = {
    "noise": NOISE,
    "areas": AREAS,
    "one value": np.full((4, 6), 255, np.uint8),
    "one pixel": np.zeros((1, 1), np.uint8),
    "turned in memory": AREAS.T,
}


def digest(ids):
    return runs_of(ids).sha256(ids.shape[1])


@pytest.mark.parametrize("ids", MAPS.values(), ids=MAPS.keys())
def test_every_pixel_is_counted(ids):
    expected = [int((ids == value).sum()) for value in range(256)]
    assert runs_of(ids).counts().tolist() == expected


@pytest.mark.parametrize("ids", MAPS.values(), ids=MAPS.keys())
def test_a_copy_has_the_same_digest(ids):
    assert digest(np.ascontiguousarray(ids)) == digest(ids)


@pytest.mark.parametrize("ids", MAPS.values(), ids=MAPS.keys())
def test_one_other_pixel_makes_another_digest(ids):
    rng = np.random.default_rng(1)
    seen = {digest(ids)}
    places = {(0, 0), (ids.shape[0] - 1, ids.shape[1] - 1)}
    places |= {tuple(rng.integers(0, ids.shape)) for _ in range(20)}
    for place in places:
        other = ids.copy()
        other[place] += 1
        seen.add(digest(other))
    assert len(seen) == len(places) + 1


def test_the_same_pixels_in_another_shape_have_another_digest():
    maps = [NOISE[:4, :6], NOISE[:4, :6].reshape(6, 4), NOISE[:4, :6].reshape(1, 24)]
    assert len({digest(np.ascontiguousarray(ids)) for ids in maps}) == 3
