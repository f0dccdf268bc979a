"""What batch normalisation remembers is an average of its recent batches, not of its start."""

import copy
import math

import pytest
import torch
from torch import nn

from segbench.engine.running_statistics import forget_the_start


def layer(momentum: float | None = 0.05) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(3, momentum=momentum)).train()


def batches(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [5 + 0.1 * torch.randn(4, 3, 8, 8, generator=generator) for _ in range(count)]


def statistics(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    values = images.transpose(0, 1).flatten(1)
    return values.mean(1), values.var(1)


def test_recent_batches_count_more_and_the_start_not_at_all():
    """Batch i of n has the weight i (i + 1) ... (i + 8), which the recursion comes to."""
    norm = layer()
    forget_the_start(norm)
    for images in batches(7):
        norm(images)
    means, variances = zip(*map(statistics, batches(7)), strict=True)
    weights = torch.tensor([float(math.comb(i + 8, 9)) for i in range(1, 8)])
    weights /= weights.sum()
    torch.testing.assert_close(norm[0].running_mean, weights @ torch.stack(means))
    torch.testing.assert_close(norm[0].running_var, weights @ torch.stack(variances))


def test_what_was_long_ago_is_forgotten():
    """The mean jumps after 20 of 60 batches, as it does while a network learns."""
    norm, images = layer(momentum=0.01), batches(60)
    forget_the_start(norm)
    for number, one in enumerate(images):
        norm(one if number >= 20 else one - 5)
    torch.testing.assert_close(norm[0].running_mean, torch.full((3,), 5.0), atol=0.02, rtol=0)


def test_the_momentum_of_the_recipe_counts_from_there_on():
    """After 10 / 0.05 - 10 batches."""
    norm, images = layer(), batches(192)
    forget_the_start(norm)
    for one in images[:190]:
        norm(one)
    before = norm[0].running_mean.clone()
    norm(images[190])
    torch.testing.assert_close(
        norm[0].running_mean, 0.95 * before + 0.05 * statistics(images[190])[0]
    )
    assert norm[0].momentum == 0.05
    assert not norm[0]._forward_pre_hooks


@pytest.mark.parametrize("stop", [1, 5, 20, 30])
def test_a_training_that_goes_on_remembers_the_same_bits(stop):
    whole, images = layer(), batches(40)
    forget_the_start(whole)
    for one in images:
        whole(one)
    first, second = layer(), layer()
    forget_the_start(first)
    for one in images[:stop]:
        first(one)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    forget_the_start(second)
    for one in images[stop:]:
        second(one)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_statistics_that_come_with_weights_are_kept():
    pretrained, left_alone = layer(), layer()
    for norm in (pretrained, left_alone):
        norm[0].num_batches_tracked.fill_(1000)
        norm[0].running_mean.fill_(2.0)
    forget_the_start(pretrained)
    for norm in (pretrained, left_alone):
        norm(batches(1)[0])
    assert torch.equal(pretrained[0].running_mean, left_alone[0].running_mean)


def test_validations_and_frozen_layers_change_nothing():
    norm = layer().eval()
    forget_the_start(norm)
    norm(batches(1)[0])
    assert norm[0].momentum == 0.05
    assert norm[0].running_mean.tolist() == [0, 0, 0]


def test_what_a_step_computes_is_not_touched():
    averaged, plain, (images, *_) = layer(), layer(), batches(1)
    forget_the_start(averaged)
    assert torch.equal(averaged(images), plain(images))


def test_layers_without_a_momentum_are_left_alone():
    for norm in (layer(momentum=None), nn.Sequential(nn.BatchNorm2d(3, track_running_stats=False))):
        forget_the_start(norm)
        assert not norm[0]._forward_pre_hooks
