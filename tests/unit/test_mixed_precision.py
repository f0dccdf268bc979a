"""What is computed in 16 bits is right, wherever in a model it is."""

import pytest
import torch
from helpers import manifest_of, recipe_of
from torch import nn
from torch.nn import functional

from segbench.engine.build import build_model, load_config
from segbench.engine.mixed_precision import computing_in
from segbench.engine.operators import lay_out_channels_last
from segbench.recipe.render import render
from segbench.zoo.names import config_path

CGNET = "cgnet_fcn_4xb8-60k_cityscapes-512x1024"
SIZE = (128, 160)


@pytest.mark.parametrize("dilation", [1, 2, 3, 6, 12, 24])
@pytest.mark.parametrize("kernel", [3, 5])
def test_gradients_of_depthwise_convolutions_follow_from_their_inputs(dilation, kernel):
    """PyTorch's own are any numbers in bfloat16, with channels last and holes in the kernel."""
    random = torch.Generator().manual_seed(0)
    maps, back = torch.randn(2, 4, 32, 24, 32, generator=random).bfloat16()
    weight = torch.randn(32, 1, kernel, kernel, generator=random).bfloat16()
    padding = dilation * (kernel // 2)

    def results(number, layout):
        convolution = nn.Conv2d(
            32, 32, kernel, padding=padding, dilation=dilation, groups=32, bias=False, dtype=number
        )
        convolution.weight.data.copy_(weight)
        values = maps.to(number, memory_format=layout).requires_grad_()
        found = convolution(values)
        torch.full((1 << 20,), 1e30)  # what lay in memory before must not matter
        found.backward(back.to(found.dtype, memory_format=layout))
        return found, values.grad, convolution.weight.grad

    expected = results(torch.float64, torch.contiguous_format)
    with computing_in("bfloat16", "cpu"):
        found = results(torch.float32, torch.channels_last)
    for true, one in zip(expected, found, strict=True):
        assert float((one.double() - true).norm().detach() / true.norm().detach()) < 0.01


def test_gradients_of_a_whole_model_are_those_of_float32(tmp_path):
    """CGNet has depthwise kernels with holes in every block."""
    manifest_of(4).write(tmp_path / "manifest.json")
    recipe = recipe_of(
        run="m/scratch/seed0", initialization="scratch", seed=0, crop_size=SIZE, batch_size=4,
        max_iters=100,
    )  # fmt: skip
    rendered = render(config_path(CGNET), tmp_path / "manifest.json", recipe)
    (tmp_path / "config.py").write_text(rendered)
    model, _ = build_model(load_config(tmp_path / "config.py"), 0)
    lay_out_channels_last(model.train())
    random = torch.Generator().manual_seed(3)
    images = torch.randn(4, 3, *SIZE, generator=random).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 4, (4, SIZE[0] // 8, SIZE[1] // 8), generator=random)

    def gradient():
        model.zero_grad()
        logits = model(images, None, mode="tensor")
        functional.cross_entropy(logits.float(), labels).backward()
        return [
            part.weight.grad.flatten().double()
            for part in model.modules()
            if isinstance(part, nn.Conv2d) and part.dilation != (1, 1)
        ]

    full = gradient()
    with computing_in("bfloat16", "cpu"):
        mixed = gradient()
    assert len(full) == 3 + 21  # one in each block of its two stages
    for true, one in zip(full, mixed, strict=True):
        assert float(functional.cosine_similarity(true, one, dim=0)) > 0.8
        assert float(one.norm() / true.norm()) == pytest.approx(1, abs=0.2)
