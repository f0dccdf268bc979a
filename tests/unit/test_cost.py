"""What a prediction costs: operations against a count by hand, and what is timed."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from segbench.engine import cost

IMAGE = {"inputs": torch.zeros(3, 8, 8, dtype=torch.uint8), "data_samples": SimpleNamespace()}


def predicted(count: int) -> list[SimpleNamespace]:
    return [SimpleNamespace(pred_sem_seg=SimpleNamespace(data=torch.zeros(1)))] * count


class Attention(nn.Module):
    """Predicts by self-attention over 6 places of 4 channels, with 2 heads."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)

    def test_step(self, batch):
        places = torch.ones(len(batch["inputs"]), 6, 4)
        self.attend(places, places, places)
        return predicted(len(places))


def test_attention_is_counted():
    with torch.no_grad():
        found = cost.count_flops(Attention().eval(), cost.batch_of(IMAGE, 1))
    projections = 4 * (2 * 6 * 4 * 4)  # queries, keys, values, and the way out
    products = 2 * (2 * 6 * 6 * 4)  # queries with keys, and weights with values, over both heads
    assert found == projections + products


class Scripted:
    """A model that takes its time by a clock of its own, and holds so many images."""

    def __init__(self, seconds: float, each: float = 0.0, most: int = 1000) -> None:
        self.seconds, self.each, self.most, self.now, self.calls = seconds, each, most, 0.0, 0

    def test_step(self, batch):
        count = len(batch["inputs"])
        if count > self.most:
            raise torch.OutOfMemoryError("out of memory")
        self.now += self.seconds + self.each * count
        self.calls += 1
        return predicted(count)

    def clock(self):
        return self.now

    def timed(self):
        return cost.timed(self, IMAGE, 1, "cpu", clock=self.clock)

    def best_batch(self):
        return cost.best_batch(self, IMAGE, self.timed(), "cpu", clock=self.clock)


def test_the_first_passes_do_not_count():
    model = Scripted(0.01)
    assert model.timed().seconds == pytest.approx([0.01] * 50)
    assert model.calls == 50 + cost.WARM_UP


def test_a_slow_model_is_timed_a_few_times():
    assert Scripted(3).timed().seconds == pytest.approx([3] * 5)


def test_the_largest_batch_that_fits_is_found():
    best = Scripted(0.01, most=8).best_batch()
    assert best.batch == 8
    assert best.images_per_second == pytest.approx(8 / 0.01)


def test_a_batch_that_gives_no_more_is_not_kept():
    assert Scripted(0, each=0.004).best_batch().batch == 1


def test_a_batch_that_would_take_long_is_not_tried():
    # one image takes 0.5 s, two 0.6 s, four 0.8 s; at that pace eight would take 1.6 s
    assert Scripted(0.4, each=0.1).best_batch().batch == 4
