"""Shortcuts give what the published parts give, up to rounding, in value and in gradient."""

import copy
from collections.abc import Sequence

import pytest
import torch
from helpers import manifest_of, recipe_of
from mmcv.cnn import ConvModule
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from segbench.engine.build import build_model, load_config
from segbench.engine.shortcuts.convolutions import CutToMap, take_for_convolutions
from segbench.engine.shortcuts.losses import HardestByThreshold, SigmoidCrossEntropy
from segbench.engine.shortcuts.predictions import class_ids
from segbench.engine.shortcuts.segformer import FusedThenEnlarged
from segbench.engine.shortcuts.take import WITH_ACCURACY, leave_out_accuracies, take_shortcuts
from segbench.recipe.render import render
from segbench.zoo.names import config_path

VOID = 255


def both(part: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A part as it is published, and one with its shortcut."""
    shorter = take_shortcuts(copy.deepcopy(part))
    assert type(shorter) is not type(part)
    return part, shorter


def labels(*shape: int, classes: int = 5, void: float = 0.2) -> Tensor:
    random = torch.Generator().manual_seed(1)
    drawn = torch.randint(0, classes, shape, generator=random)
    drawn[torch.rand(shape, generator=random) < void] = VOID
    return drawn


def logits(scale: float = 3, classes: int = 5) -> Tensor:
    random = torch.Generator().manual_seed(2)
    return scale * torch.randn(2, classes, 24, 31, generator=random)


def loss_and_gradient(loss: nn.Module, scores: Tensor, *of: Tensor, **more: object):
    scores = scores.clone().requires_grad_()
    value = loss(scores, *of, **more)
    (gradient,) = torch.autograd.grad(3 * value, scores)  # the sum of a model's losses is scaled
    return value.detach(), gradient


def assert_same_loss(parts: Sequence[nn.Module], scores: Tensor, *of: Tensor, **more: object):
    published, shorter = (loss_and_gradient(part, scores, *of, **more) for part in parts)
    torch.testing.assert_close(shorter, published, rtol=2e-5, atol=1e-9)


def sigmoid_loss(**settings: object) -> nn.Module:
    from mmseg.models.losses import CrossEntropyLoss

    return CrossEntropyLoss(use_sigmoid=True, **settings)


def hardest(**settings: object) -> nn.Module:
    from mmseg.models.losses import OhemCrossEntropy

    return OhemCrossEntropy(**settings)


@pytest.mark.parametrize("settings", [{}, {"avg_non_ignore": True}, {"loss_weight": 0.4}])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_sigmoid_for_each_class(settings, layout):
    parts = both(sigmoid_loss(**settings))
    scores = logits().contiguous(memory_format=layout)
    assert_same_loss(parts, scores, labels(2, 24, 31), ignore_index=VOID)


def test_a_sigmoid_of_logits_beyond_all_measure():
    assert_same_loss(both(sigmoid_loss()), logits(scale=300), labels(2, 24, 31), ignore_index=VOID)


def test_a_sigmoid_where_all_is_void():
    parts = both(sigmoid_loss(avg_non_ignore=True))
    assert_same_loss(parts, logits(), torch.full((2, 24, 31), VOID), ignore_index=VOID)


@pytest.mark.parametrize(
    "settings", [{"class_weight": [1.0, 2, 3, 4, 5]}, {"reduction": "sum"}, {}]
)
def test_what_is_not_a_plain_mean_is_left_to_mmsegmentation(settings):
    """Class weights, a sum, and weights of pixels."""
    if "class_weight" in settings:
        # MMSegmentation itself takes these only where classes are the last axis
        scores, label = logits().movedim(1, -1).reshape(-1, 5), labels(2 * 24 * 31)
    else:
        scores, label = logits(), labels(2, 24, 31)
    weight = torch.rand(label.shape)
    assert_same_loss(both(sigmoid_loss(**settings)), scores, label, weight, ignore_index=VOID)


@pytest.mark.parametrize("min_kept", [1, 200, 1000, 10**6])
@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.9])
@pytest.mark.parametrize("scale", [0.3, 3])
def test_the_hardest_pixels(min_kept, threshold, scale):
    """Found by threshold or by place, of many or of all."""
    parts = both(hardest(thres=threshold, min_kept=min_kept, loss_weight=0.4))
    assert_same_loss(parts, logits(scale), labels(2, 24, 31))


def test_no_pixel_is_hard_where_all_is_void():
    shorter = both(hardest())[1]
    value, gradient = loss_and_gradient(shorter, logits(), torch.full((2, 24, 31), VOID))
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("pixels", [1, 16])
def test_equally_easy_pixels_do_not_make_a_loss_that_is_no_number(pixels):
    """PIDNet asks for the hardest of those near a boundary, which can be one."""
    certain = torch.full((1, 3, 4, 4), -2.0)
    certain[:, 1] = 2
    label = torch.full((1, 4, 4), VOID)
    label.view(-1)[:pixels] = 1
    published, shorter = both(hardest(thres=0.9, min_kept=100_000))
    assert published(certain, label).isnan()
    value, gradient = loss_and_gradient(shorter, certain, label)
    assert value == 0
    assert not gradient.any()


def convolution(dilation: tuple[int, int], groups: int = 1, **settings: object) -> nn.Conv2d:
    torch.manual_seed(0)
    padding = settings.pop("padding", dilation)
    return nn.Conv2d(4, 8, 3, padding=padding, dilation=dilation, groups=groups, **settings)


@pytest.mark.parametrize("dilation", [(2, 2), (5, 3), (3, 6), (36, 36)])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("bias", [True, False])
def test_a_dilated_kernel_is_cut_to_a_small_map(dilation, groups, bias):
    """Of five rows and six columns."""
    found = []
    for part in both(convolution(dilation, groups, bias=bias)):
        torch.manual_seed(1)
        maps = torch.randn(2, 4, 5, 6, requires_grad=True)
        result = part(maps)
        result.backward(torch.randn(result.shape))
        found.append([result.detach(), maps.grad, *(p.grad for p in part.parameters())])
    torch.testing.assert_close(*found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "settings", [{"stride": 2}, {"padding": (3, 2)}, {"padding_mode": "circular"}]
)
def test_other_convolutions_are_left_alone(settings):
    part = convolution((2, 2), **settings)
    take_for_convolutions(part)
    assert type(part) is nn.Conv2d


BN = {"type": "BN"}


def block(dilation: int = 1, **settings: object) -> ConvModule:
    """A convolution and its normalisation, whose statistics are not those of the start."""
    random = torch.Generator().manual_seed(3)
    part = ConvModule(4, 8, 3, padding=dilation, dilation=dilation, **settings)
    if settings.get("norm_cfg") == BN:
        part.norm.running_mean.copy_(torch.randn(8, generator=random))
        part.norm.running_var.copy_(0.1 + torch.rand(8, generator=random))
        part.norm.weight.data.copy_(torch.randn(8, generator=random))
    return part


@pytest.mark.parametrize(
    ("settings", "is_one"),
    [
        ({"norm_cfg": BN}, True),
        ({"norm_cfg": BN, "dilation": 9}, True),  # larger than the map
        ({"norm_cfg": BN, "act_cfg": None, "bias": True}, True),
        ({"norm_cfg": BN, "order": ("act", "conv", "norm")}, True),
        ({}, False),
        ({"norm_cfg": {"type": "GN", "num_groups": 2}}, False),
        ({"norm_cfg": BN, "with_spectral_norm": True}, False),
        # pads in a forward of its own, which would be passed over
        ({"norm_cfg": BN, "conv_cfg": {"type": "Conv2dAdaptivePadding"}}, False),
    ],
)
def test_a_convolution_and_its_normalisation_are_one_when_they_predict(settings, is_one):
    published = block(**settings)
    shorter = take_shortcuts(copy.deepcopy(published))
    maps = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(4))
    calls = []
    norms = [part for part in shorter.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        torch.testing.assert_close(
            shorter.eval()(maps), published.eval()(maps), rtol=1e-5, atol=1e-5
        )
    assert bool(calls) == (bool(norms) and not is_one)
    calls.clear()
    # in training each batch has statistics of its own
    torch.testing.assert_close(shorter.train()(maps), published.train()(maps), rtol=1e-5, atol=1e-5)
    assert len(calls) == len(norms)


@pytest.mark.parametrize("is_compiled", [False, True])
def test_frozen_statistics_change_nothing_in_training(is_compiled):
    """Neither a bit of what is learnt, nor that it can be compiled."""
    published = block(norm_cfg=BN)
    shorter = take_shortcuts(copy.deepcopy(published))
    found = []
    for part in (published, shorter):
        part.train().norm.eval()
        maps = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(4))
        run = torch.compile(part, backend="eager") if is_compiled else part
        run(maps).square().sum().backward()
        found.append([parameter.grad for parameter in part.parameters()])
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_a_part_of_a_users_own_is_left_alone():
    class Own(nn.Conv2d):
        pass

    part = Own(4, 8, 3, padding=2, dilation=2)
    take_shortcuts(part)
    assert type(part) is Own


def built(tmp_path, name: str) -> nn.Module:
    """A published model for seven classes, with weights of its start."""
    manifest_of(7).write(tmp_path / "manifest.json")
    recipe = recipe_of(
        run="m/scratch/seed0", initialization="scratch", seed=0, crop_size=(64, 96), batch_size=2
    )
    config = tmp_path / "config.py"
    config.write_text(render(config_path(name), tmp_path / "manifest.json", recipe))
    return build_model(load_config(config))[0]


def batch(height: int = 64, width: int = 96) -> dict[str, list[object]]:
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, 3, height, width), generator=random, dtype=torch.uint8)
    samples = [
        SegDataSample(
            gt_sem_seg=PixelData(data=label[None]), gt_edge_map=PixelData(data=(label == 2)[None])
        )
        for label in labels(2, height, width, classes=7)
    ]
    for sample in samples:
        sample.set_metainfo({"img_shape": (height, width), "ori_shape": (height, width)})
    return {"inputs": [*images], "data_samples": samples}


MODELS = [
    ("segformer_mit-b0_8xb1-160k_cityscapes-1024x1024", FusedThenEnlarged),
    ("fast_scnn_8xb4-160k_cityscapes-512x1024", SigmoidCrossEntropy),
    ("pidnet-s_2xb6-120k_1024x1024-cityscapes", HardestByThreshold),
    ("deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024", CutToMap),
]


@pytest.mark.parametrize(("name", "expected"), MODELS)
def test_a_training_step_of_a_published_model(tmp_path, name, expected):
    """All its losses, gradients and running statistics; weights have the same names."""
    published = built(tmp_path, name)
    shorter = take_shortcuts(copy.deepcopy(published))
    assert any(type(part) is expected for part in shorter.modules())
    # a copy, as a moving average of the weights is, has its own weights
    found = [losses_and_state(model) for model in (published, copy.deepcopy(shorter))]
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=2e-5)


def test_labels_of_eight_bits_teach_the_same(tmp_path):
    """Of PIDNet, which also learns from a map of edges."""
    model = built(tmp_path, MODELS[2][0])
    narrow = batch()
    for sample in narrow["data_samples"]:
        for name in ("gt_sem_seg", "gt_edge_map"):
            sample.get(name).data = sample.get(name).data.to(torch.uint8)
    found = [losses_and_state(copy.deepcopy(model), data) for data in (batch(), narrow)]
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_labels_stay_as_they_are_where_predictions_are_compared_with_them(tmp_path):
    model = built(tmp_path, MODELS[1][0]).eval()
    data = batch()
    for sample in data["data_samples"]:
        sample.gt_sem_seg.data = sample.gt_sem_seg.data.to(torch.uint8)
    with torch.inference_mode():
        samples = model.test_step(data)
    assert {sample.gt_sem_seg.data.dtype for sample in samples} == {torch.uint8}


def losses_and_state(
    model: nn.Module, data: dict[str, list[object]] | None = None
) -> list[dict[str, Tensor]]:
    model.train()
    data = model.data_preprocessor(data or batch(), training=True)
    torch.manual_seed(0)  # dropout
    losses = model(**data, mode="loss")
    total = sum(torch.as_tensor(v).sum() for k, v in losses.items() if "loss" in k)
    total.backward()
    gradients = {k: p.grad for k, p in model.named_parameters() if p.grad is not None}
    return [
        {k: torch.as_tensor(v).detach() for k, v in losses.items()},
        gradients,
        dict(model.state_dict()),
    ]


def test_predictions_of_segformer(tmp_path):
    published = built(tmp_path, MODELS[0][0]).eval()
    shorter = take_shortcuts(copy.deepcopy(published))
    data = batch(96, 128)
    with torch.inference_mode():
        found = [
            torch.stack([s.seg_logits.data for s in model.test_step(data)])
            for model in (published, shorter)
        ]
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


SIZES = {
    "of the image": {"ori_shape": (24, 31)},
    "of another": {"ori_shape": (50, 40)},
    "padded": {"padding_size": (0, 3, 0, 4), "ori_shape": (20, 28)},
    "padded for a test": {"img_padding_size": (1, 2, 3, 4), "ori_shape": (30, 60)},
    "flipped": {"flip": True, "flip_direction": "horizontal", "ori_shape": (24, 31)},
}


@pytest.mark.parametrize("about", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("classes", [1, 2, 26])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_class_ids_are_those_of_mmsegmentation_to_the_bit(tmp_path, about, classes, layout):
    """Also where several classes are equally likely, and in either layout."""
    published = built(tmp_path, MODELS[1][0])
    published.decode_head.threshold = 0.5  # of a single map
    shorter = take_shortcuts(copy.deepcopy(published))
    assert shorter.postprocess_result.__func__ is class_ids
    assert shorter.postprocess_result.__self__ is shorter
    assert copy.deepcopy(shorter).postprocess_result.__self__ is not shorter
    coarse = logits(classes=classes).round().contiguous(memory_format=layout)
    found = []
    for model in (published, shorter):
        samples = [SegDataSample(metainfo=about) for _ in range(2)]
        found.append(model.postprocess_result(coarse.clone(), samples))
    for theirs, ours in zip(*found, strict=True):
        for name in ("seg_logits", "pred_sem_seg"):
            assert torch.equal(ours.get(name).data, theirs.get(name).data)
            assert ours.get(name).data.dtype == theirs.get(name).data.dtype


def test_a_segmentor_with_class_ids_of_its_own_keeps_them(tmp_path):
    model = built(tmp_path, MODELS[1][0])

    class Own(type(model)):
        def postprocess_result(self, *_):
            return "its own"

    model.__class__ = Own
    assert take_shortcuts(model).postprocess_result() == "its own"


def test_accuracies_of_batches_are_left_out(tmp_path, monkeypatch):
    for module in WITH_ACCURACY:
        monkeypatch.setattr(module, "accuracy", module.accuracy)
    model = built(tmp_path, MODELS[1][0])
    before = losses_and_state(copy.deepcopy(model))
    leave_out_accuracies()
    after = losses_and_state(model)
    assert after[0]["decode.acc_seg"] == 0 < before[0]["decode.acc_seg"]
    for found in (before, after):
        found[0] = {k: v for k, v in found[0].items() if "loss" in k}
    torch.testing.assert_close(after, before, rtol=0, atol=0)
