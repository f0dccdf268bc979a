"""A checkpoint of other classes gives a model what fits, row by row."""

import pytest
import torch
from torch import nn

from segbench.engine.checkpoints.class_rows import ClassRows, load_finetuned, load_whole
from segbench.errors import ModelError


class Net(nn.Module):
    """A backbone, a class layer, and a head that reads scores beside features."""

    def __init__(self, classes):
        super().__init__()
        self.backbone = nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(12)])
        self.conv_seg = nn.Conv2d(3, classes, 1)
        self.refine = nn.Conv1d(5 + classes, 4, 1)


AXES = {"conv_seg.weight": 0, "conv_seg.bias": 0, "refine.weight": 1}
# road <- road; car <- car and truck; cow is new
ROWS = ClassRows(
    source=("car", "road", "truck"), target=("road", "car", "cow", "sky"),
    sources_of=((1,), (0, 2), (), ()),
)  # fmt: skip


def saved(tmp_path, model):
    torch.save({"state_dict": model.state_dict()}, tmp_path / "source.pth")
    return tmp_path / "source.pth"


def test_rows_follow_the_class_map(tmp_path):
    source, target = Net(3), Net(4)
    fresh = {key: value.clone() for key, value in target.state_dict().items()}
    report = load_finetuned(target, saved(tmp_path, source), AXES, ROWS)
    assert torch.equal(target.backbone[3].weight, source.backbone[3].weight)
    weight, bias = target.conv_seg.weight, target.conv_seg.bias
    assert torch.equal(weight[0], source.conv_seg.weight[1])
    assert torch.allclose(weight[1], (source.conv_seg.weight[0] + source.conv_seg.weight[2]) / 2)
    assert torch.equal(weight[2:], fresh["conv_seg.weight"][2:])
    assert torch.equal(bias[0], source.conv_seg.bias[1])
    # features first, then scores
    assert torch.equal(target.refine.weight[:, :5], source.refine.weight[:, :5])
    assert torch.equal(target.refine.weight[:, 5], source.refine.weight[:, 6])
    assert torch.equal(target.refine.weight[:, 7:], fresh["refine.weight"][:, 7:])
    assert report.loaded == report.wanted == 28
    assert ROWS.sentence() == "class rows kept: road, car <- car + truck; fresh: cow, sky"


def test_the_row_of_no_object_is_the_last_one_of_a_mask_head(tmp_path):
    """Mask2Former classifies each mask as one of the classes, or as none."""
    source, target = Net(3), Net(4)
    source.cls_embed, target.cls_embed = nn.Linear(6, 3 + 1), nn.Linear(6, 4 + 1)
    fresh = target.cls_embed.weight.detach().clone()
    axes = AXES | {"cls_embed.weight": 0, "cls_embed.bias": 0}
    load_finetuned(target, saved(tmp_path, source), axes, ROWS)
    found, given = target.cls_embed.weight, source.cls_embed.weight
    assert torch.equal(found[0], given[1])
    assert torch.allclose(found[1], (given[0] + given[2]) / 2)
    assert torch.equal(found[2:4], fresh[2:4])
    assert torch.equal(found[4], given[3])
    assert torch.equal(target.cls_embed.bias[4], source.cls_embed.bias[3])


def test_equal_numbers_of_classes_are_still_distinguished(tmp_path):
    rows = ClassRows(source=("a", "b"), target=("b", "c"), sources_of=((1,), ()))
    source, target = Net(2), Net(2)
    fresh = target.conv_seg.weight[1].clone()
    load_finetuned(target, saved(tmp_path, source), AXES, rows)
    assert torch.equal(target.conv_seg.weight[0], source.conv_seg.weight[1])
    assert torch.equal(target.conv_seg.weight[1], fresh)


def test_another_architecture_is_refused(tmp_path):
    path = saved(tmp_path, nn.Linear(3, 3))
    with pytest.raises(ModelError, match=r"source\.pth: is a checkpoint of another architecture"):
        load_finetuned(Net(4), path, AXES, ROWS)


def test_a_checkpoint_of_other_classes_cannot_be_evaluated_as_it_is(tmp_path):
    with pytest.raises(ModelError, match=r"3 mismatched .*For `zero_shot` it must hold every"):
        load_whole(Net(4), saved(tmp_path, Net(3)))
    assert load_whole(Net(3), saved(tmp_path, Net(3))).loaded == 28


def test_the_class_layers_of_a_real_model_are_found(tmp_path):
    from mmengine.config import Config

    from segbench.engine.build import class_axes, load_config
    from segbench.zoo.names import config_path

    base = Config.fromfile(str(config_path("ocrnet_hr18s_4xb2-40k_cityscapes-512x1024")))
    base.model.pop("pretrained", None)
    for head in base.model.decode_head:
        head["num_classes"] = 7
    base.train_dataloader.dataset.metainfo = {"classes": list("abcdefg")}
    for node in (base.model, base.model.backbone, *base.model.decode_head):
        for value in node.values():
            if isinstance(value, dict) and value.get("type") == "SyncBN":
                value["type"] = "BN"
    (tmp_path / "config.py").write_text(base.dump())
    axes = class_axes(load_config(tmp_path / "config.py"))
    assert axes == {
        "decode_head.0.conv_seg.weight": 0, "decode_head.0.conv_seg.bias": 0,
        "decode_head.1.conv_seg.weight": 0, "decode_head.1.conv_seg.bias": 0,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["BEiT", "MAE"])
def test_tables_of_positions_are_interpolated_to_the_crop(tmp_path, name):
    backbones = pytest.importorskip("mmseg.models.backbones")

    def built(size):
        model = nn.Module()
        model.backbone = getattr(backbones, name)(
            img_size=size, patch_size=16, embed_dims=8, num_layers=1, num_heads=2, out_indices=(0,)
        )
        return model

    key = "backbone.layers.0.attn.relative_position_bias_table"
    source, wider = built((64, 64)), built((64, 128))
    state = source.state_dict()
    # 7x7 offsets: the bias of the first head grows from left to right, that of the second is 3
    state[key][:49, 0] = torch.arange(7.0).repeat(7)
    state[key][:49, 1] = 3.0
    state[key][49:] = torch.tensor([[10.0, 11.0]] * 3)
    if name == "MAE":
        state["backbone.pos_embed"][0, 0] = 5.0
        state["backbone.pos_embed"][0, 1:] = 2.0
    report = load_whole(wider, saved(tmp_path, source))
    assert report.loaded == report.wanted
    assert not report.mismatched
    table = wider.state_dict()[key]
    assert table.shape == (7 * 15 + 3, 2)
    assert torch.equal(table[-3:], torch.tensor([[10.0, 11.0]] * 3))
    assert torch.allclose(table[:-3, 1], torch.tensor(3.0))
    rows = table[:-3, 0].reshape(7, 15)
    assert torch.allclose(rows, rows[0].expand(7, 15), atol=1e-5)
    assert torch.all(rows[0].diff() > 0)
    assert rows[0, 7] == pytest.approx(3.0)  # the middle stays the middle
    if name == "MAE":
        positions = wider.state_dict()["backbone.pos_embed"][0]
        assert torch.equal(positions[0], torch.full((8,), 5.0))
        assert torch.allclose(positions[1:], torch.tensor(2.0))
