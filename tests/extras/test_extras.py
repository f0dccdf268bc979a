"""Models that need a further package: adapted, built, stepped, fine-tuned, compared.

Run by `make test-extras`, in an environment that has the extras.
"""

import csv

import pytest
import torch
import yaml
from helpers import ROOT, Checkout, manifest_of, recipe_of
from mmseg.structures import SegDataSample

from segbench.engine.build import build_model, class_axes, load_config
from segbench.engine.checkpoints.class_rows import ClassRows, load_finetuned
from segbench.engine.cost import count_flops
from segbench.engine.preflight import ModelCheck, preflight
from segbench.recipe.render import adapted, render
from segbench.zoo.names import config_path

MASK2FORMER = "mask2former_r50_8xb2-90k_cityscapes-512x1024"
MASKFORMER = "maskformer_r50-d32_8xb2-160k_ade20k-512x512"
CONVNEXT = "convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512"
DINOV2 = "config/models/dinov2-s14_linear_1xb16-20k_512x512.py"
POOLFORMER = "fpn_poolformer_s12_8xb4-40k_ade20k-512x512"
NEEDS = {
    MASK2FORMER: "mmdet", MASKFORMER: "mmdet", CONVNEXT: "mmpretrain", POOLFORMER: "mmpretrain"
}  # fmt: skip


@pytest.fixture
def rendered(tmp_path):
    """The config of a run of a model on a dataset of some classes, and the dataset's manifest."""

    def render_for(name, classes=7, **settings):
        manifest = tmp_path / f"manifest{classes}.json"
        manifest_of(classes, image_sizes=[[90, 110, 9]]).write(manifest)
        wanted = {"crop_size": (64, 96), "batch_size": 2, "max_iters": 100} | settings
        recipe = recipe_of(run="m/scratch/seed0", initialization="scratch", seed=0, **wanted)
        path = tmp_path / f"config{classes}.py"
        path.write_text(render(config_path(name), manifest, recipe))
        return path, manifest

    return render_for


@pytest.mark.parametrize("name", NEEDS)
def test_a_model_builds_trains_and_predicts(rendered, tmp_path, name):
    config, manifest = rendered(name)
    preflight(config, manifest, tmp_path / "report.json")
    report = ModelCheck.read(tmp_path / "report.json")
    assert report.memory.startswith("training takes")
    # the published sizes in millions, with the heads of 19 and 150 classes
    published = {MASK2FORMER: 44, MASKFORMER: 41, CONVNEXT: 60, POOLFORMER: 16}[name]
    assert report.parameters == pytest.approx(1e6 * published, rel=0.1)


@pytest.mark.parametrize("name", [MASK2FORMER, MASKFORMER])
def test_a_mask_head_has_a_weight_for_every_class_and_for_no_object(tmp_path, name):
    manifest = manifest_of(7)
    recipe = recipe_of(run="m/scratch/seed0", initialization="scratch", seed=0, max_iters=100)
    manifest.write(tmp_path / "manifest.json")
    head = adapted(config_path(name), tmp_path / "manifest.json", recipe).model.decode_head
    assert head.num_classes == 7
    assert head.loss_cls.class_weight == [1.0] * 7 + [0.1]


@pytest.mark.parametrize("name", [MASK2FORMER, MASKFORMER])
def test_fine_tuning_keeps_matching_classes_and_what_stands_for_no_object(rendered, tmp_path, name):
    source, _ = build_model(load_config(rendered(name, 5)[0]), seed=1)
    torch.save({"state_dict": source.state_dict()}, tmp_path / "source.pth")
    config = load_config(rendered(name, 7)[0])
    model, _ = build_model(config, seed=2)
    fresh = model.decode_head.cls_embed.weight.detach().clone()
    assert fresh.shape[0] == 7 + 1
    # class 0 of the target is class 3 of the source, class 6 is 0 and 1; the others are new
    rows = ClassRows("abcde", "tuvwxyz", [[3], [], [], [], [], [], [0, 1]])
    load_finetuned(model, tmp_path / "source.pth", class_axes(config), rows)
    found, given = model.decode_head.cls_embed.weight, source.decode_head.cls_embed.weight
    assert torch.equal(found[0], given[3])
    assert torch.equal(found[1:6], fresh[1:6])
    assert torch.allclose(found[6], given[:2].mean(0))
    assert torch.equal(found[7], given[5])
    assert torch.equal(model.backbone.conv1.weight, source.backbone.conv1.weight)


def test_operations_of_a_mask_head_are_counted(rendered):
    model, _ = build_model(load_config(rendered(MASK2FORMER)[0]), seed=0)
    model.eval()
    shape = {"img_shape": (64, 96), "ori_shape": (64, 96), "pad_shape": (64, 96)}
    batch = {
        "inputs": [torch.zeros(3, 64, 96, dtype=torch.uint8)],
        "data_samples": [SegDataSample(metainfo=shape)],
    }
    # a ResNet-50 takes 4.1 GFLOPs (multiply and add as two: 8.2) for 224x224
    assert count_flops(model, batch) > 8.2e9 * 64 * 96 / 224**2


def test_torchvision_imports_beside_any_pytorch():
    """Where its operators do not load, they are refused in its own words."""
    import torchvision

    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    if torchvision.extension._has_ops():
        assert torchvision.ops.nms(boxes, torch.ones(1), 0.5).tolist() == [0]
    else:
        with pytest.raises(RuntimeError, match="Couldn't load custom C\\+\\+ ops"):
            torchvision.ops.nms(boxes, torch.ones(1), 0.5)


def test_a_comparison_with_models_of_the_extras_comes_to_its_report(tmp_path):
    import timm
    from safetensors.torch import save_file

    checkout = Checkout.copy_of(ROOT, tmp_path / "checkout")
    weights = timm.create_model("vit_small_patch14_dinov2", num_classes=0).state_dict()
    (checkout.root / "mirror").mkdir()
    name = "vit_small_patch14_dinov2.lvd142m-model.safetensors"
    save_file(weights, checkout.root / "mirror" / name)
    config = yaml.safe_load((ROOT / "tests/smallest.yaml").read_text())
    config["models"] = {"mask2former": MASK2FORMER, "convnext": CONVNEXT, "deeplabv3plus": (
        "deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024"
    ), "dinov2": {"config": DINOV2, "initializations": ["imagenet"]}}  # fmt: skip
    config["weights"] = {"mirror": "mirror"}
    # what is kept of the largest has hundreds of MB
    config["training"] |= {"max_iters": 3, "val_interval": 3}
    (checkout.root / "extras.yaml").write_text(yaml.safe_dump(config))
    (checkout.root / "tiny_rural.yaml").write_text((ROOT / "tests/tiny_rural.yaml").read_text())
    checkout.run("--cores", "2", "--configfile", "extras.yaml", expect=0)
    with (checkout.root / "results/smallest/tables/models.csv").open(newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert rows.keys() == {"mask2former", "convnext", "deeplabv3plus", "dinov2"}
    check = checkout.root / "results/smallest/check/dinov2/imagenet.json"
    assert f"{len(weights)} of {len(weights)} backbone entries loaded" in check.read_text()
    assert all(float(row["flops"]) > 1e8 for row in rows.values())
    assert (checkout.root / "results/smallest/report.html").is_file()
