"""Work that is done while the next items are made."""

import threading

import pytest

from segbench.system.pools import WAITING, in_background


def test_work_keeps_the_order_and_is_done_in_another_thread():
    here = threading.get_ident()
    done = [*in_background(lambda item: (item, threading.get_ident()), range(100))]
    assert [item for item, _ in done] == [*range(100)]
    assert here not in {thread for _, thread in done}


def test_items_are_not_made_far_ahead():
    made = []

    def items():
        for item in range(100):
            made.append(item)
            yield item

    results = in_background(lambda item: item, items())
    for expected in range(20):
        assert next(results) == expected
        assert len(made) <= expected + WAITING + 1


def test_what_goes_wrong_with_an_item_is_told():
    with pytest.raises(ZeroDivisionError):
        [*in_background(lambda item: 1 / item, [2, 1, 0, 3])]


def test_what_goes_wrong_while_items_are_made_is_told():
    def items():
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        [*in_background(lambda item: item, items())]
