"""Images of equal size are predicted together, in their order, and never more than fit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segbench.datasets.frame_table import frame_sizes
from segbench.engine.dataset import EqualSizes

WIDE, TALL = (100, 200), (200, 150)


@pytest.mark.parametrize(
    ("sizes", "pixels", "expected"),
    [
        ([WIDE] * 5, 40_000, [[0, 1], [2, 3], [4]]),
        ([WIDE] * 3, 59_999, [[0, 1], [2]]),
        # an image that is larger than a batch of the training is predicted all the same
        ([WIDE] * 2, 10, [[0], [1]]),
        ([WIDE, WIDE, TALL, WIDE], 90_000, [[0, 1], [2], [3]]),
        ([], 90_000, []),
    ],
)
def test_batches_are_of_one_size_and_no_larger_than_a_step(sizes, pixels, expected):
    batches = EqualSizes(sizes, range(len(sizes)), pixels)
    assert [*batches] == expected
    assert len(batches) == len(expected)


@given(st.lists(st.sampled_from([WIDE, TALL])), st.integers(1, 4), st.integers(1, 200_000))
def test_processes_share_all_images_in_their_order(sizes, processes, pixels):
    shares = [range(rank, len(sizes), processes) for rank in range(processes)]
    for share in shares:
        batches = [*EqualSizes(sizes, share, pixels)]
        assert [index for batch in batches for index in batch] == [*share]
        assert all(len({sizes[index] for index in batch}) == 1 for batch in batches)


def test_sizes_are_those_of_the_split(tmp_path):
    table = tmp_path / "frames.csv"
    table.write_text("split,name,height,width\ntrain,a,1,2\nval,a,3,4\nval,b,5,6\n")
    assert frame_sizes(table, "val", ["b", "a"]) == [(5, 6), (3, 4)]
    assert frame_sizes(table, "train", ["a"]) == [(1, 2)]
