"""Nothing that YAML or a checkpoint says about a model can run code or read a file."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import manifest_of, recipe_of
from mmseg.registry import MODELS

from segbench.engine.build import build_model, load_config
from segbench.errors import ModelError
from segbench.plan.starts import overridden
from segbench.recipe.render import render
from segbench.zoo.names import config_path

SWIN = "swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512"
VIT = "vit_deit-s16_upernet_8xb2-80k_ade20k-512x512"
FAST_SCNN = "fast_scnn_8xb4-160k_cityscapes-512x1024"
R18 = "deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024"


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.fixture
def trace(tmp_path):
    return tmp_path / "code_ran"


@pytest.fixture
def evil(tmp_path, trace):
    """A checkpoint with code in it, which really runs where it is unpickled."""
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": {"x": Payload(trace)}}, path)
    subprocess.run(
        [sys.executable, "-c", "import sys, torch; torch.load(sys.argv[1], weights_only=False)",
         str(path)], check=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    trace.rmdir()
    return str(path)


@pytest.fixture
def rendered(tmp_path):
    manifest = tmp_path / "manifest.json"
    manifest_of(3, name="three", image_sizes=[[64, 64, 1]]).write(manifest)

    def render_it(config: str, **more):
        wanted = recipe_of(
            run="m/scratch/seed0",
            initialization="scratch",
            seed=0,
            crop_size=(64, 64),
            batch_size=2,
            max_iters=5,
            **more,
        )
        path = tmp_path / "config.py"
        path.write_text(render(config_path(config), manifest, wanted))
        return load_config(path)

    return render_it


OVERRIDE = {"type": "Pretrained"}
FILES = {
    "MMEngine's full name": (R18, {"init_cfg": {"type": "mmengine.Pretrained"}}),
    "the class that reads": (R18, {"init_cfg": {"type": "PretrainedInit"}}),
    "its dotted name": (R18, {"init_cfg": {"type": "mmengine.model.PretrainedInit"}}),
    "its module": (R18, {"init_cfg": {"type": "mmengine.model.weight_init.PretrainedInit"}}),
    "a part of a checkpoint": (VIT, {"init_cfg": {"type": "Pretrained_Part"}}),
    "any type in Swin": (SWIN, {"init_cfg": {"type": "Constant", "val": 0}}),
    "no type at all": (SWIN, {"init_cfg": {}}),
    "in a list": (R18, {"init_cfg": [{"type": "Pretrained"}]}),
    "in an initialiser's exception": (
        R18, {"init_cfg": {"type": "Constant", "layer": "Conv2d", "override": OVERRIDE}}
    ),
    "the old key": (R18, {"pretrained": None}),
}  # fmt: skip


def with_file(backbone, path):
    """Name a checkpoint wherever the backbone could be told one."""
    if "pretrained" in backbone:
        return {"pretrained": path}
    init = backbone["init_cfg"]
    for one in init if isinstance(init, list) else [init, init.get("override", init)]:
        one["checkpoint"] = path
    return backbone


@pytest.mark.parametrize(("config", "backbone"), FILES.values(), ids=FILES)
def test_scratch_reads_no_file_whatever_names_one(
    rendered, evil, trace, monkeypatch, config, backbone
):
    def refuse(*arguments, **more):
        raise AssertionError("a file was read")

    overrides = {"model": {"backbone": with_file(backbone, evil)}}
    try:
        loaded = rendered(config, overrides=overrides)
    except ModelError as error:
        assert "not the name of a type" in str(error)  # noqa: PT017 - it may also be dropped
    else:
        monkeypatch.setattr(torch, "load", refuse)
        build_model(loaded)
    assert not trace.exists()


@pytest.mark.parametrize(("config", "backbone"), FILES.values(), ids=FILES)
def test_a_users_config_cannot_run_code_from_a_checkpoint(
    rendered, evil, trace, tmp_path, config, backbone
):
    own = tmp_path / "own.py"
    own.write_text(
        f"_base_ = [{str(config_path(config))!r}]\n"
        f"model = dict(pretrained=None, backbone={with_file(backbone, evil)!r})\n"
    )
    build_model(rendered(str(own)))
    assert not trace.exists()


def test_torch_reads_weights_only_whatever_a_library_asks_for(evil, trace):
    with pytest.raises(pickle.UnpicklingError):
        torch.load(evil, weights_only=False)
    assert not trace.exists()


CODE = {
    "a dotted type": ({"model": {"decode_head": {"type": "os.system"}}}, "`overrides.model."),
    "deep inside": (
        {"model": {"decode_head": {"loss_decode": [{"type": "subprocess.run"}]}}},
        "`overrides.model.decode_head.loss_decode[0].type`",
    ),
    "a function of MMEngine": ({"model": {"neck": {"type": "mmengine.load"}}}, "neck.type`"),
    "a scope to import": ({"model": {"_scope_": "antigravity"}}, "`overrides.model._scope_`"),
    "a constructor": (
        {"optim_wrapper": {"constructor": "os.getcwd"}}, "`overrides.optim_wrapper.constructor`"
    ),
    "a module to import": ({"custom_imports": {"imports": ["antigravity"]}}, "`overrides.custom_"),
    "a key that ends its quotes": (
        {"model": {"x-': __import__('os').mkdir('code_ran'), 'y": 1}}, "the key"
    ),
    "a key that is a number": ({"model": {1: 2}}, "the key 1"),
}  # fmt: skip


@pytest.mark.parametrize(("overrides", "message"), CODE.values(), ids=CODE)
def test_overrides_that_name_code_are_refused_before_anything_is_built(overrides, message):
    with pytest.raises(ModelError) as caught:
        overridden(FAST_SCNN, overrides)
    assert message in str(caught.value)


def test_a_registry_finds_its_own_classes_by_full_name_and_no_other_code():
    found = MODELS.get("mmseg.models.backbones.fast_scnn.FastSCNN")
    assert found.__name__ == "FastSCNN"
    for name in ("os.system", "mmengine.load", "mmengine.fileio.load", "torch.hub.load"):
        with pytest.raises(RuntimeError, match="Failed to get"):
            MODELS.get(name)


IGNORED = {
    "train_dataloader.batch_size": ({"train_dataloader": {"batch_size": 3}}, "training.batch_size"),
    "train_dataloader.num_workers": ({"train_dataloader": {"num_workers": 3}}, "dataset.pipeline"),
    "val_dataloader": ({"val_dataloader": {"batch_size": 3}}, "training.image_size"),
    "test_pipeline": ({"test_pipeline": []}, "training.image_size"),
    "train_cfg": ({"train_cfg": {"max_iters": 3}}, "training.max_iters"),
    "norm_cfg": ({"norm_cfg": {"type": "BN"}}, "segbench sets it itself"),
    "model.data_preprocessor.size": (
        {"model": {"data_preprocessor": {"size": [8, 8]}}}, "training.crop_size"
    ),
    "load_from": ({"load_from": "x.pth"}, "`checkpoint`"),
}  # fmt: skip


@pytest.mark.parametrize(("overrides", "advice"), IGNORED.values(), ids=IGNORED)
def test_overrides_without_effect_are_refused_with_the_key_to_use(request, overrides, advice):
    key = request.node.callspec.id
    with pytest.raises(ModelError) as caught:
        overridden(FAST_SCNN, overrides)
    name = key if "num_workers" not in key else "train_dataloader"
    assert f"`overrides.{name}`: has no effect" in str(caught.value)
    assert advice in str(caught.value)


STEPS = [
    {"type": "LoadImageFromFile"},
    {"type": "LoadAnnotations"},
    {"type": "RandomCrop", "crop_size": [32, 32]},
    {"type": "PackSegInputs"},
]


@pytest.mark.parametrize(
    "overrides",
    [{"train_pipeline": STEPS}, {"train_dataloader": {"dataset": {"pipeline": STEPS}}}],
    ids=["by its variable", "in its place"],
)
def test_the_training_pipeline_can_be_replaced(rendered, overrides):
    config = rendered(FAST_SCNN, overrides=overrides)
    steps = config.train_dataloader.dataset.pipeline
    assert [step["type"] for step in steps] == [step["type"] for step in STEPS]
    assert tuple(steps[2]["crop_size"]) == (64, 64)  # `training.crop_size` is what counts
