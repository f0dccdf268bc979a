"""What runs start from is resolved, and refused, before anything runs."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from helpers import ROOT

from segbench.config.class_maps import class_map, sources_of
from segbench.errors import ConfigError, SegbenchError
from segbench.plan.load import load_datasets, load_experiment
from segbench.plan.own_runs import with_models_of_runs
from segbench.plan.refusals import refuse_problems
from segbench.plan.run_settings import settings_of
from segbench.plan.runs import RunKey, run_table
from segbench.plan.starts import StartingPoints
from segbench.plan.weights import resolved_url, weights_file
from segbench.system.fetch import get_weights
from segbench.system.run_list import write_run_list
from segbench.system.urls import shown
from segbench.zoo import pretrained

PIDNET = "pidnet-s_2xb6-120k_1024x1024-cityscapes"
FAST_SCNN = "fast_scnn_8xb4-160k_cityscapes-512x1024"
DEEPLAB = "deeplabv3plus_r101-d8_4xb2-80k_cityscapes-512x1024"


def names(level):
    data = yaml.safe_load((ROOT / f"config/classes/idd_level{level}.yaml").read_text())
    return [found["name"] for found in data["classes"]]


def starts(**changes):
    data = {
        "experiment": "test",
        "dataset": "config/datasets/demo_rural.yaml",
        "models": {"m": FAST_SCNN},
        "class_map": "config/class_maps/cityscapes_to_idd_level1.yaml",
        "seeds": [0, 1],
    } | changes
    experiment = load_experiment(data)
    target, *sources = load_datasets(experiment, ROOT)
    return StartingPoints(experiment, target, next(iter(sources), None), "results/test", (ROOT,))


def test_cityscapes_in_level_1_is_what_the_labels_of_both_say():
    # by train id, worked out from the definitions of both label sets
    expected = (0, 1, 5, 4, 4, 4, 4, 4, 5, 1, 6, 2, 2, 3, 3, 3, 3, 3, 3)
    cityscapes = pretrained.classes_of_checkpoint(FAST_SCNN)
    path = str(ROOT / "config/class_maps/cityscapes_to_idd_level1.yaml")
    mapped = class_map(cityscapes, names(1), path)
    assert mapped.ids == expected
    sources = sources_of(mapped.ids, len(mapped.target))
    assert () not in sources
    assert sources[2] == (11, 12)


def test_cityscapes_leaves_seven_classes_of_level_3_unreachable():
    cityscapes = pretrained.classes_of_checkpoint(FAST_SCNN)
    path = str(ROOT / "config/class_maps/cityscapes_to_idd_level3.yaml")
    mapped = class_map(cityscapes, names(3), path)
    sources = sources_of(mapped.ids, len(mapped.target))
    assert {name for name, own in zip(mapped.target, sources, strict=True) if not own} == {
        "drivable fallback", "autorickshaw", "curb", "guard rail", "billboard",
        "obs-str-bar-fallback", "bridge",
    }  # fmt: skip


def test_classes_of_the_same_name_belong_together_by_default():
    mapped = class_map(["Road", "sky", "sea"], ["sky", "road "], None)
    assert mapped.ids == (1, 0, -1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"raod": "sky"}, "'raod' is not a class of the source. Did you mean 'road'?"),
        ({"road": "skye"}, "'skye' is not a class of the target. Did you mean 'sky'?"),
        ({"road": None}, "no class of the source has a counterpart"),
        ({"sea": "sky", "Sea": "car"}, "'sea' and 'Sea' name the same class; keep one line"),
        ("missing.yaml", "missing.yaml: no such file"),
    ],
)
def test_a_wrong_class_map_is_refused(given, message):
    with pytest.raises(ConfigError) as caught:
        class_map(["road", "sea"], ["sky", "car"], given)
    assert message in str(caught.value)


def test_a_class_map_file_of_another_shape_is_named(tmp_path):
    (tmp_path / "map.yaml").write_text("- road\n- sky\n")
    with pytest.raises(ConfigError, match=r"map\.yaml: one line `source class: target class`"):
        class_map(["road"], ["road"], str(tmp_path / "map.yaml"))


def test_imagenet_weights_are_those_that_the_zoo_config_names():
    found = starts(models={"m": DEEPLAB}).weights(RunKey("m", "imagenet", 0))
    assert found.origin.endswith("/resnet101_v1c-e67eebb6.pth")
    assert (found.sha256, str(found.path)) == (
        "e67eebb6", "resources/weights/resnet101_v1c-e67eebb6.pth",
    )  # fmt: skip


def test_published_checkpoints_are_known_with_their_hash():
    found = starts(source="zoo").weights(RunKey("m", "zero_shot", 0))
    assert Path(found.origin).name.startswith("fast_scnn")
    assert found.path.name.endswith(f"-{found.sha256}.pth")
    assert len(found.sha256) == 8


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("open-mmlab://resnet50_v1c", "resnet50_v1c-2cccc1ad.pth"),
        ("mmcls://mobilenet_v2", "mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth"),
        ("torchvision://resnet18", "resnet18-f37072fd.pth"),
    ],
)
def test_names_of_the_hubs_become_urls(reference, name):
    assert resolved_url(reference).rpartition("/")[2] == name


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("open-mmlab://resnet51_v1c", "has no weights 'resnet51_v1c'. Did you mean"),
        ("ftp://host/file.pth", "weights cannot be taken from ftp://"),
        ("gone.pth", "no such file: gone.pth"),
        ("{x}.pth", "a path with braces cannot be used"),
        (".", "is a folder"),
        ("~nobody-here/x.pth", "'~nobody-here/x.pth' cannot be a file here"),
        ("x" * 300, "cannot be a file here"),
        ("https://[::1/x.pth", "is not an address"),
        ("https:///x.pth", "is not an address of a file on a host"),
        ("https://host:99999/x.pth", "is not an address"),
        ("https://host/a b.pth", "is not an address of a file on a host"),
        ("https://host", "'https://host' names no file"),
        ("https://me:secret@host/x.pth", "'https://host/x.pth': holds a user name"),
    ],
)
def test_unknown_references_are_refused(reference, message):
    with pytest.raises(ConfigError) as caught:
        weights_file(reference)
    assert message in str(caught.value)


def test_a_scheme_may_be_written_large_and_a_name_be_long():
    file = weights_file(f"HTTPS://host/{'x' * 300}.pth")
    assert len(file.path.name) < 200
    assert file.path.suffix == ".pth"


def test_an_empty_file_is_refused_as_weights(tmp_path):
    (tmp_path / "w.pth").touch()
    with pytest.raises(ConfigError, match=r"w\.pth: is empty; get it again"):
        weights_file(str(tmp_path / "w.pth"))


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n", b"<html>"])
def test_a_text_file_is_refused_as_weights(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ConfigError, match=r"w\.pth: is not a checkpoint of PyTorch"):
        weights_file(str(tmp_path / "w.pth"))


@pytest.mark.parametrize("as_zip", [True, False])
def test_both_forms_of_checkpoints_are_weights(tmp_path, as_zip):
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(1)}, path, _use_new_zipfile_serialization=as_zip)
    assert weights_file(str(path)).path == path


def test_files_of_safetensors_are_weights_and_others_of_that_name_are_not(tmp_path):
    path = tmp_path / "model.safetensors"
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    assert weights_file(str(path)).path == path
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ConfigError, match=r"model\.safetensors: is not a file of safetensors"):
        weights_file(str(path))


def test_files_of_hugging_face_are_told_apart_in_a_mirror(tmp_path):
    url = "https://huggingface.co/timm/{}/resolve/main/model.safetensors"
    (tmp_path / "a.x-model.safetensors").write_bytes(b"a")
    assert weights_file(url.format("a.x"), mirror=tmp_path).origin.endswith("a.x-model.safetensors")
    with pytest.raises(ConfigError, match=r"has no file b\.x-model\.safetensors\. Put it there"):
        weights_file(url.format("b.x"), mirror=tmp_path)


def test_what_is_secret_in_an_address_is_not_shown():
    assert shown("https://me:secret@host:1/x.pth?token=secret") == "https://host:1/x.pth?..."


def test_overrides_say_which_weights_a_backbone_starts_from():
    overrides = {"model": {"pretrained": "open-mmlab://resnet50_v1c", "backbone": {"depth": 50}}}
    models = {"m": {"config": DEEPLAB, "overrides": overrides}}
    points = starts(models=models, initializations=["imagenet"])
    file = points.weights(RunKey("m", "imagenet", 0))
    assert file.path.name == "resnet50_v1c-2cccc1ad.pth"


def test_one_file_has_one_hash(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"PK\x03\x04")
    models = {
        name: {"config": PIDNET, "backbone_weights": {"file": str(tmp_path / "w.pth"), "sha256": d}}
        for name, d in (("a", "0" * 8), ("b", "1" * 8))
    }
    with pytest.raises(ConfigError, match=r"`models\.b`: another `sha256` is given for .*w\.pth"):
        starts(models=models, initializations=["imagenet"]).files()


@pytest.mark.parametrize(
    ("text", "initialization", "message"),
    [
        ("model = dict(", "scratch", "`models.m`: "),
        ("raise SystemExit(3)", "scratch", "SystemExit: 3"),
        ("_base_ = './mine.py'", "scratch", "the files in `_base_` name each other in a circle"),
        ("model = 5", "imagenet", "is not laid out as an MMSegmentation config"),
        ("model = dict(backbone=[1])", "imagenet", "is not laid out as an MMSegmentation config"),
        ("model = dict(backbone=dict(init_cfg=dict(type='Pretrained')))", "imagenet",
         "'checkpoint'"),
        ("train_dataloader = 5", "zero_shot", "is not laid out as an MMSegmentation config"),
        ("train_dataloader = dict(dataset=[1])", "zero_shot", "is not laid out"),
        ("train_dataloader = dict(dataset=dict(metainfo=dict(classes='sky')))", "zero_shot",
         "`classes` is not a list of names: 'sky'"),
        ("train_dataloader = dict(dataset=dict(metainfo=dict(classes=[1])))", "zero_shot",
         "`classes` is not a list of names"),
    ],
)  # fmt: skip
def test_a_users_config_is_read_before_anything_runs(tmp_path, text, initialization, message):
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "w.pth").write_bytes(b"PK\x03\x04")
    model = {"config": str(tmp_path / "mine.py")}
    if initialization == "zero_shot":
        model["checkpoint"] = str(tmp_path / "w.pth")
    points = starts(models={"m": model}, initializations=[initialization], source="zoo")
    with pytest.raises(ConfigError) as caught:
        refuse_problems(points)
    assert message in str(caught.value)
    assert "mine.py" in str(caught.value)


def test_published_models_of_several_datasets_have_classes():
    names = pretrained.classes_of_checkpoint("fcn_r50-d8_4xb4-20k_voc12aug-512x512")
    assert (len(names), names[0], names[-1]) == (21, "background", "tvmonitor")


def test_files_of_two_urls_never_share_a_place():
    one, two = (weights_file(f"https://{host}/weights.pth") for host in ("a", "b"))
    assert one.path != two.path
    hashed = [weights_file(f"https://{host}/w-0123abcd.pth") for host in ("a", "b")]
    assert hashed[0].path == hashed[1].path  # the hash says that it is one file


def test_a_mirror_takes_the_place_of_the_network(tmp_path):
    settings = {"models": {"m": DEEPLAB}, "initializations": ["imagenet"]}
    points = starts(**settings, weights={"mirror": str(tmp_path)})
    with pytest.raises(
        ConfigError,
        match=r"`models\.m\.backbone_weights`: `weights\.mirror`: .* has no file resnet101_v1c-e67",
    ):
        refuse_problems(points)
    (tmp_path / "resnet101_v1c-e67eebb6.pth").write_bytes(b"PK\x03\x04")
    refuse_problems(points)
    (file,) = points.files().values()
    assert file.origin == str(tmp_path / "resnet101_v1c-e67eebb6.pth")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initializations": ["imagenet"],
          "models": {"m": "cgnet_fcn_4xb8-60k_cityscapes-512x1024"}},
         "names no pretrained weights. Name some in `backbone_weights`"),
        ({"initializations": ["imagenet"],
          "models": {"m": "setr_vit-l_naive_8xb1-80k_cityscapes-768x768"}},
         "published nowhere as it is"),
        ({"initializations": ["imagenet"],
          "models": {"m": {"config": PIDNET, "backbone_weights": "gone.pth"}}},
         "`models.m.backbone_weights`: no such file: gone.pth"),
        ({"initializations": ["zero_shot"], "source": "zoo", "class_map": {"road": "raod"}},
         "'raod' is not a class of the target"),
        ({"initializations": ["zero_shot"], "source": "zoo", "class_map": {"road": None}},
         "no class of the source has a counterpart"),
        ({"training": {"class_weights": [1, 2]}},
         "`models.m`: `class_weights` has 2 numbers, but demo_rural has 7 classes"),
        ({"training": {"batch_size": 4, "gpus_per_run": 3}},
         "`models.m`: a batch of 4 images cannot be shared evenly by 3 devices"),
        # of the published recipe: two GPUs with six images each
        ({"models": {"m": PIDNET}, "training": {"gpus_per_run": 5}},
         "`models.m`: a batch of 12 images cannot be shared evenly by 5 devices"),
        ({"training": {"val_interval": 4}, "initializations": ["finetuned"], "class_map": None,
          "source": {"dataset": "config/datasets/demo_urban.yaml", "training": {"max_iters": 2}}},
         "source.training: val_interval (4) is larger than max_iters (2)"),
        ({"models": {"m": {"config": PIDNET, "overrides": {"modle": {}}}}},
         "`models.m`: `overrides.modle`: the config has no such key. Did you mean 'model'"),
        ({"weights": {"mirror": "nowhere"}}, "`weights.mirror`: no such folder: nowhere"),
    ],
)  # fmt: skip
def test_what_cannot_start_is_refused_before_anything_runs(changes, message):
    with pytest.raises(ConfigError) as caught:
        refuse_problems(starts(**changes))
    assert message in str(caught.value)


def test_a_source_cannot_be_the_target():
    source = {"dataset": "config/datasets/demo_rural.yaml"}
    with pytest.raises(ConfigError, match=r"`source\.dataset`: the source is 'demo_rural'"):
        starts(source=source, initializations=["finetuned"])


def test_every_seed_has_a_source_run_that_all_share():
    source = {"dataset": "config/datasets/demo_urban.yaml", "training": {"max_iters": 9}}
    points = starts(source=source, initializations=["finetuned", "zero_shot"], class_map=None)
    assert [run.path for run in points.runs if run.on_source] == [
        "m/source/seed0",
        "m/source/seed1",
    ]
    first = points.run("m", "source", "0")
    assert (first.initialization, points.trained_on(first).name) == ("scratch", "demo_urban")
    assert points.inputs(RunKey("m", "finetuned", 1)) == [
        "results/test/runs/m/source/seed1/best.pth"
    ]
    assert settings_of(points, first)["training"]["max_iters"] == 9
    assert settings_of(points, RunKey("m", "finetuned", 0))["training"].get("max_iters") is None
    assert settings_of(points, RunKey("m", "finetuned", 0))["class_map"] == list(range(7))


def test_a_published_checkpoint_is_evaluated_once():
    points = starts(source="zoo", initializations=["zero_shot", "finetuned"])
    assert run_table(points.experiment, points.target) == [
        RunKey("m", "zero_shot", 0), RunKey("m", "finetuned", 0), RunKey("m", "finetuned", 1),
    ]  # fmt: skip


def test_settings_of_one_model_do_not_depend_on_another():
    other = {"config": PIDNET, "training": {"batch_size": 2}}
    alone, together = starts(models={"a": PIDNET}), starts(models={"a": PIDNET, "b": other})
    run = RunKey("a", "scratch", 0)
    assert settings_of(alone, run) == settings_of(together, run)


def test_a_local_file_is_verified(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"weights")
    # sha256sum of the seven bytes
    digest = "9a129b38d5b5f9d9d3bbd2b48e9a8bdc"
    with pytest.raises(
        SegbenchError, match=r"w\.pth: its SHA-256 starts with [0-9a-f]{8}, not with"
    ):
        get_weights(str(tmp_path / "w.pth"), digest, tmp_path / "store/w.pth")
    assert not (tmp_path / "store/w.pth").exists()
    get_weights(str(tmp_path / "w.pth"), "", tmp_path / "store/w.pth")
    assert (tmp_path / "store/w.pth").read_bytes() == b"weights"


def test_every_zoo_dataset_with_published_weights_has_known_classes():
    known = pretrained._classes_of_type()
    assert len(known["CityscapesDataset"]) == 19
    assert len(known["ADE20KDataset"]) == 150
    assert len(known["PascalContextDataset59"]) == 59
    assert json.dumps(known["NightDrivingDataset"]) == json.dumps(known["CityscapesDataset"])


@pytest.fixture
def own_run(tmp_path):
    """A run whose model was built with an override."""
    folder = tmp_path / "results/mine/runs/small/scratch/seed0"
    folder.mkdir(parents=True)
    for name in ("config.py", "train.json", "best.pth"):
        (folder / name).touch()
    built = {"config": FAST_SCNN, "overrides": {"model": {"backbone": {"out_indices": [0, 1, 2]}}}}
    write_run_list(tmp_path / "results/mine", ["small/scratch/seed0"], [], {"small": built})
    return folder


@pytest.mark.parametrize("file", ["", "best.pth"])
def test_a_run_of_ones_own_says_how_its_model_is_built(own_run, file):
    data = {"models": {"small": {"checkpoint": str(own_run / file)}, "other": "pspnet"}}
    model = with_models_of_runs(data)["models"]["small"]
    assert model["config"] == FAST_SCNN
    assert model["overrides"] == {"model": {"backbone": {"out_indices": [0, 1, 2]}}}
    # what is written comes first, and what is no such run stays as it is
    written = {"models": {"small": {"config": "x", "checkpoint": {"file": str(own_run)}}}}
    assert with_models_of_runs(written) == written
    foreign = {"models": {"small": {"checkpoint": str(own_run.parent)}, "b": 3}, "seeds": [0]}
    assert with_models_of_runs(foreign) == foreign


def test_a_run_of_an_experiment_without_a_list_asks_for_the_config(own_run):
    (own_run.parents[3] / "runs.json").unlink()
    with pytest.raises(ConfigError, match=r"`models\.small\.config`: is left out"):
        with_models_of_runs({"models": {"small": {"checkpoint": str(own_run)}}})
