"""Backbones of timm: adapted, built, stepped, and started from weights under their real names.

Nothing can be downloaded in a test, so files with the keys and shapes of the published ones are
made by timm itself, and served from this machine. Run by `make test-extras`.
"""

import re
from pathlib import Path

import pytest
import torch
from file_server import serving
from helpers import ROOT, manifest_of, recipe_of
from mmseg.structures import SegDataSample

from segbench.engine.build import build_model, load_config
from segbench.engine.checkpoints.load import load_backbone
from segbench.engine.preflight import ModelCheck, preflight
from segbench.engine.timm_backbone import TimmBackbone
from segbench.errors import ModelError
from segbench.recipe.render import adapted, render
from segbench.system.download import download

MODELS = ROOT / "config/models"
# parameters in millions: those of the backbone as published, and those of the head for 7 classes
SIZES = {
    "dinov2-s14_linear_1xb16-20k_512x512": 22.1,
    "dinov2-s14_upernet_1xb16-20k_512x512": 22.1 + 35.9,
    "dinov3-s16_linear_1xb16-20k_512x512": 21.6,
    "convnextv2-t_upernet_8xb2-160k_512x512": 27.9 + 32.3,
    "swinv2-t_upernet_8xb2-160k_512x512": 27.6 + 32.3,
    "efficientvit-b1_segformer_8xb2-160k_512x512": 4.6 + 0.4,
}
SMALL_DINO = {"model_name": "vit_small_patch14_dinov2", "out_indices": [11]}


@pytest.fixture
def rendered(tmp_path):
    """The config of a run of a model on a dataset of 7 classes, and the dataset's manifest."""

    def render_for(config, **settings):
        manifest = tmp_path / "manifest.json"
        manifest_of(7, image_sizes=[[75, 95, 9]]).write(manifest)
        wanted = {"crop_size": (64, 96), "batch_size": 2, "max_iters": 100} | settings
        recipe = recipe_of(run="m/scratch/seed0", initialization="scratch", seed=0, **wanted)
        path = tmp_path / "config.py"
        path.write_text(render(config, manifest, recipe))
        return path, manifest

    return render_for


def mine(tmp_path: Path, **backbone: object) -> Path:
    """A user's config with another backbone in the place of DINOv2 ViT-S."""
    path = tmp_path / "mine.py"
    path.write_text(
        f"_base_ = {str(MODELS / 'dinov2-s14_linear_1xb16-20k_512x512.py')!r}\n"
        f"model = dict(backbone=dict(_delete_=True, **{backbone!r}))\n"
    )
    return path


@pytest.mark.parametrize("name", SIZES)
def test_a_model_builds_trains_and_predicts(rendered, tmp_path, name):
    config, manifest = rendered(MODELS / f"{name}.py")
    preflight(config, manifest, tmp_path / "report.json")
    report = ModelCheck.read(tmp_path / "report.json")
    assert report.parameters == pytest.approx(1e6 * SIZES[name], rel=0.05)


def test_every_config_of_the_folder_starts_from_what_it_names(tmp_path):
    for path in sorted(MODELS.glob("*.py")):
        manifest_of(7).write(tmp_path / "manifest.json")
        recipe = recipe_of(
            run="m/imagenet/seed0", initialization="imagenet", seed=0, weights="w.safetensors",
            max_iters=100,
        )  # fmt: skip
        config = adapted(path, tmp_path / "manifest.json", recipe)
        assert config.model.backbone.init_cfg == {
            "type": "Pretrained", "checkpoint": "w.safetensors"
        }  # fmt: skip
        assert config.model.decode_head.num_classes == 7


def test_crops_that_are_not_whole_patches_are_padded_and_predictions_have_the_images_size(rendered):
    path, _ = rendered(MODELS / "dinov2-s14_linear_1xb16-20k_512x512.py", crop_size=(64, 90))
    config = load_config(path)
    # 5 and 7 patches of 14 pixels
    assert tuple(config.model.data_preprocessor.size) == (70, 98)
    assert config.train_dataloader.dataset.pipeline[3].crop_size == (64, 90)
    model, _ = build_model(config)
    model.eval()
    with torch.no_grad():
        image = torch.zeros(3, 75, 95, dtype=torch.uint8)
        shapes = SegDataSample(metainfo={"img_shape": (75, 95), "ori_shape": (75, 95)})
        data = model.data_preprocessor({"inputs": [image], "data_samples": [shapes]})
        assert data["inputs"].shape[-2:] == (84, 98)
        (sample,) = model.predict(data["inputs"], data["data_samples"])
    assert sample.pred_sem_seg.data.shape[-2:] == (75, 95)
    assert any("whole patches" in note for note in config.segbench.adaptations)


def test_weights_come_over_the_network_once_and_every_entry_is_loaded(tmp_path):
    import timm
    from safetensors.torch import save

    published = timm.create_model("vit_small_patch14_dinov2", num_classes=0).state_dict()
    assert published["pos_embed"].shape == (1, 37 * 37 + 1, 384)
    with serving(files={"model.safetensors": save(published)}) as server:
        download(server.url("model.safetensors"), tmp_path / "model.safetensors")
    backbone = TimmBackbone(**SMALL_DINO, dynamic_img_size=True)
    report = load_backbone(backbone, tmp_path / "model.safetensors")
    assert report.loaded == report.wanted == len(published)
    for key, value in backbone.timm_model.state_dict().items():
        assert torch.equal(value, published[key]), key


def test_a_file_of_the_authors_of_dinov2_is_loaded_too(tmp_path):
    import timm

    own = timm.create_model("vit_small_patch14_dinov2", num_classes=0).state_dict()
    # their file has a token for masked patches, which nothing but their pretraining uses
    torch.save({**own, "mask_token": torch.zeros(1, 384)}, tmp_path / "dinov2_vits14_pretrain.pth")
    backbone = TimmBackbone(**SMALL_DINO, dynamic_img_size=True)
    report = load_backbone(backbone, tmp_path / "dinov2_vits14_pretrain.pth")
    assert report.loaded == report.wanted
    assert torch.equal(backbone.timm_model.blocks[3].mlp.fc1.weight, own["blocks.3.mlp.fc1.weight"])


def test_positions_of_another_size_are_interpolated(tmp_path):
    import timm

    own = timm.create_model("vit_small_patch14_dinov2", num_classes=0, img_size=224).state_dict()
    torch.save(own, tmp_path / "small.pth")
    backbone = TimmBackbone(**SMALL_DINO)
    load_backbone(backbone, tmp_path / "small.pth")
    table = backbone.timm_model.pos_embed
    assert table.shape == (1, 37 * 37 + 1, 384)
    # an average of its places hardly changes
    assert torch.allclose(table[0, 1:].mean(0), own["pos_embed"][0, 1:].mean(0), atol=2e-3)


def test_a_checkpoint_of_another_width_is_refused(tmp_path):
    import timm

    base = timm.create_model("vit_base_patch14_dinov2", num_classes=0).state_dict()
    torch.save(base, tmp_path / "base.pth")
    with pytest.raises(ModelError, match=r"base\.pth: .*`backbone_weights`"):
        load_backbone(TimmBackbone(**SMALL_DINO), tmp_path / "base.pth")


def test_a_safetensors_file_that_is_cut_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(100)}, tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    (tmp_path / "w.safetensors").write_bytes(whole[:-10])
    with pytest.raises(ModelError, match=r"w\.safetensors: damaged or no checkpoint"):
        load_backbone(TimmBackbone(**SMALL_DINO), tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ({"model_name": "vit_smal_patch14_dinov2"}, "no model 'vit_smal_patch14_dinov2'. Did you "),
        ({"model_name": "hf-hub:someone/model"}, "no model 'hf-hub:someone/model'"),
        ({"model_name": "vit_small_patch14_dinov2", "depht": 3}, "cannot be built by timm"),
        ({"model_name": "vit_small_patch14_dinov2", "out_indices": [12]}, "out of range"),
    ],
)
def test_what_timm_does_not_have_is_said(rendered, tmp_path, backbone, message):
    config = mine(tmp_path, **{"type": "TimmBackbone", "out_indices": [11]} | backbone)
    path, _ = rendered(config)
    with pytest.raises(ModelError, match=re.escape(message)):
        build_model(load_config(path))


def test_a_model_without_maps_is_said(rendered, tmp_path):
    import timm

    @timm.models.register_model
    def flat_network(pretrained=False, **_):
        return torch.nn.Linear(1, 1)

    path, _ = rendered(mine(tmp_path, type="TimmBackbone", model_name="flat_network"))
    config = load_config(path)
    config.model.backbone.out_indices = [0]
    with pytest.raises(ModelError, match="'flat_network' of timm gives no maps of its stages"):
        build_model(config)


def test_no_name_makes_timm_download_a_model(rendered, tmp_path):
    config = mine(tmp_path, type="mmseg.TIMMBackbone", model_name="hf-hub:someone/model")
    with pytest.raises(ModelError, match="'hf-hub:someone/model' makes timm download a model"):
        rendered(config)


def test_mmsegmentations_own_wrapper_downloads_nothing(rendered, tmp_path):
    options = {"model_name": "resnet18", "features_only": True, "out_indices": [4]}
    config = mine(tmp_path, **{"type": "TIMMBackbone", "pretrained": True} | options)
    path = config.with_name("mine2.py")
    path.write_text(
        f"_base_ = {str(config)!r}\nmodel = dict(decode_head=dict(in_channels=512, channels=512))\n"
    )
    rendered_path, _ = rendered(path)
    assert load_config(rendered_path).model.backbone.pretrained is False
    build_model(load_config(rendered_path))
