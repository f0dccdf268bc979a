"""What makes a training reproducible and safe: sampling, weights, digests."""

import pickle
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from segbench.engine.checkpoints.load import load_backbone, read_state_dict
from segbench.engine.sampling import PositionedDataset, PositionSampler, index_at
from segbench.errors import ModelError


def test_every_epoch_sees_every_image_once():
    for epoch in range(3):
        seen = [index_at(5, epoch * 10 + place, 10) for place in range(10)]
        assert sorted(seen) == list(range(10))


def test_epochs_and_seeds_differ():
    orders = {
        tuple(index_at(seed, epoch * 20 + i, 20) for i in range(20))
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


class Drawing:
    """A dataset whose samples are what its transforms would draw."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index, np.random.rand(), random.random()


def test_augmentation_depends_on_the_position_alone():
    dataset = PositionedDataset(Drawing(), seed=1)
    forwards = [dataset[position] for position in range(12)]
    backwards = [dataset[position] for position in reversed(range(12))]
    assert forwards == backwards[::-1]
    assert len({sample[1:] for sample in forwards}) == 12
    assert forwards != [PositionedDataset(Drawing(), seed=2)[p] for p in range(12)]


def test_a_sampler_goes_on_at_its_position():
    assert [*PositionSampler(0, 7)][4:] == [*PositionSampler(4, 7)]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)


def save(path: Path, content) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
@pytest.mark.parametrize("wrapped", [True, False])
def test_weights_are_found_under_usual_names(tmp_path, prefix, wrapped):
    source, target = Net(), Net()
    state = {prefix + key: value for key, value in source.state_dict().items()}
    path = save(tmp_path / "w.pth", {"state_dict": state} if wrapped else state)
    report = load_backbone(target, path)
    assert (report.loaded, report.wanted) == (6, 6)
    assert torch.equal(target.conv.weight, source.conv.weight)


def test_what_does_not_fit_is_said(tmp_path):
    # eight of the ten entries of five layers; of those of seven, it would be too few
    state = nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(5)]).state_dict()
    state["4.weight"] = torch.zeros(9)
    state["head.weight"] = torch.zeros(2)
    del state["4.bias"]
    path = save(tmp_path / "w.pth", state)
    report = load_backbone(nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(5)]), path)
    assert (report.missing, report.mismatched, report.unused) == (
        ("4.bias",), ("4.weight",), ("head.weight",),
    )  # fmt: skip
    assert "8 of 10 backbone entries loaded; 1 missing (4.bias)" in report.sentence()
    with pytest.raises(ModelError, match="8 of 14 backbone entries loaded"):
        load_backbone(nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(7)]), path)


def test_what_imagenet_teaches_of_two_branches_is_enough(tmp_path):
    """Of DDRNet and PIDNet at least the main branches are pretrained, if not what joins them."""
    backbones = pytest.importorskip("mmseg.models.backbones")
    ddrnet = {"in_channels": 3, "channels": 8, "ppm_channels": 8, "norm_cfg": {"type": "BN"}}
    pidnet = {"channels": 8, "ppm_channels": 8, "num_stem_blocks": 2, "num_branch_blocks": 3}
    for kind, settings, untaught in (
        (backbones.DDRNet, ddrnet, ("spp",)),
        (backbones.PIDNet, pidnet, ("spp", "d_branch", "pag", "dfm", "diff")),
    ):
        state = kind(**settings).state_dict()
        taught = {key: value for key, value in state.items() if not key.startswith(untaught)}
        report = load_backbone(kind(**settings), save(tmp_path / "w.pth", taught))
        assert report.loaded < report.wanted


def test_a_shallower_backbone_is_not_enough(tmp_path):
    backbones = pytest.importorskip("mmseg.models.backbones")
    shallow = save(tmp_path / "w.pth", backbones.ResNetV1c(depth=50).state_dict())
    with pytest.raises(ModelError, match="275 of 530 backbone entries loaded"):
        load_backbone(backbones.ResNetV1c(depth=101), shallow)


@pytest.mark.parametrize("content", [b"\x80", b"\x80\x02.", b"hello world", b"<html>", b""])
def test_what_is_not_a_checkpoint_is_refused_in_plain_words(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load_backbone(Net(), tmp_path / "w.pth")
    message = str(caught.value)
    assert "w.pth: " in message
    assert "et it again" in message
    # what torch says of how to run the code in a file
    assert "weights_only" not in message


def test_weights_that_diverged_are_refused(tmp_path):
    state = Net().state_dict()
    state["conv.weight"][0, 0, 0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"1 entries hold NaN, such as conv\.weight"):
        load_backbone(Net(), save(tmp_path / "w.pth", state))


def test_weights_of_another_architecture_are_refused(tmp_path):
    path = save(tmp_path / "w.pth", {f"layer{i}.weight": torch.zeros(1) for i in range(6)})
    with pytest.raises(ModelError, match=r"w\.pth: does not fit the backbone Net: 0 of 6"):
        load_backbone(Net(), path)


class Bomb:
    def __reduce__(self):
        return (open, (str(self.target), "w"))


def test_code_in_a_checkpoint_is_not_executed(tmp_path):
    Bomb.target = tmp_path / "executed"
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"state_dict": Bomb()}))
    with pytest.raises(ModelError, match=r"evil\.pth: refused"):
        read_state_dict(path)
    torch.save({"state_dict": Bomb()}, path)
    with pytest.raises(ModelError, match=r"evil\.pth: refused"):
        read_state_dict(path)
    assert not Bomb.target.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ModelError, match=r"w\.pth: "):
        read_state_dict(tmp_path / "w.pth")


def test_a_missing_checkpoint_names_the_key(tmp_path):
    with pytest.raises(ModelError, match=r"w\.pth: no such weights file; correct the config"):
        read_state_dict(tmp_path / "w.pth")


def test_real_imagenet_weights_fit_strictly(imagenet_weights):
    from mmseg.models.backbones import MobileNetV2

    report = load_backbone(MobileNetV2(), imagenet_weights)
    assert report.loaded == report.wanted
    assert (report.missing, report.mismatched, report.unused) == ((), (), ())


@pytest.mark.parametrize("content", [[1, 2], 5, "text", {1: torch.zeros(1)}, torch.zeros(3)])
def test_a_file_without_weights_is_refused_as_checkpoint(tmp_path, content):
    with pytest.raises(ModelError, match=r"w\.pth: "):
        load_backbone(Net(), save(tmp_path / "w.pth", content))


def test_a_transformer_resizes_its_position_table_itself(tmp_path):
    """The table of another image size does not fit by shape; the backbone adapts it."""
    from mmseg.models.backbones import VisionTransformer

    settings = {"patch_size": 16, "embed_dims": 32, "num_layers": 2, "num_heads": 2}
    small = VisionTransformer(img_size=64, **settings)
    large = VisionTransformer(img_size=128, **settings)
    torch.nn.init.normal_(small.pos_embed)
    path = save(tmp_path / "vit.pth", {"state_dict": small.state_dict()})
    report = load_backbone(large, path)
    assert report.loaded == report.wanted
    # the class token and a constant table come through any resizing unchanged
    assert torch.equal(large.pos_embed[:, 0], small.pos_embed[:, 0])
    assert torch.equal(large.layers[1].ln1.weight, small.layers[1].ln1.weight)


def test_code_is_not_executed_by_a_backbone_with_a_loader_of_its_own(tmp_path):
    from mmseg.models.backbones import VisionTransformer

    Bomb.target = tmp_path / "executed"
    torch.save({"state_dict": {"x": Bomb()}}, tmp_path / "evil.pth")
    vit = VisionTransformer(img_size=64, patch_size=16, embed_dims=32, num_layers=1, num_heads=2)
    with pytest.raises(ModelError, match=r"evil\.pth: refused"):
        load_backbone(vit, tmp_path / "evil.pth")
    assert not Bomb.target.exists()
