"""A wrong config is refused with a message that names the key and what would be valid."""

import copy

import pytest
import yaml
from helpers import ROOT

from segbench.config.schema import read_yaml
from segbench.datasets.description import load_description
from segbench.datasets.split_settings import Splits
from segbench.errors import ConfigError
from segbench.plan.load import load_datasets, load_experiment
from segbench.plan.runs import RunKey, run_table
from segbench.plan.starts import StartingPoints
from segbench.zoo.requirements import missing

PIDNET = "pidnet-s_2xb6-120k_1024x1024-cityscapes"
VALID = {
    "experiment": "test",
    "dataset": "config/datasets/demo_rural.yaml",
    "models": {"pidnet": PIDNET},
    "seeds": [0, 1],
    "training": {"crop_size": [128, 160], "max_iters": 100, "val_interval": 50},
}


def changed(**changes):
    """The valid config with keys replaced, or removed where the value is `...`."""
    data = copy.deepcopy(VALID) | changes
    return {key: value for key, value in data.items() if value is not ...}


def test_every_experiment_of_the_repository_is_valid():
    paths = [ROOT / "config/config.yaml", *(ROOT / "config/experiments").glob("*.yaml")]
    assert len(paths) >= 2
    for path in paths:
        experiment = load_experiment(yaml.safe_load(path.read_text()))
        load_datasets(experiment, ROOT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modles": {}}, "`modles`: unknown key. Did you mean 'models'?"),
        ({"experiment": ...}, "`experiment`: this key is required."),
        ({"experiment": "a/b"}, "`experiment`: 'a/b' is not a valid name"),
        ({"experiment": "../up"}, "`experiment`: '../up' is not a valid name"),
        ({"models": {}}, "`models`: "),
        ({"models": {"a b; rm": PIDNET}}, "`models.a b; rm`: 'a b; rm' is not a valid name"),
        ({"models": {"y" * 100: PIDNET}}, "repeats 'y' 20 times or more at its end. Choose"),
        ({"models": [PIDNET]}, "`models`: must be a mapping, with `key: value` lines"),
        ({"seeds": 3}, "`seeds`: must be a list, as in [1, 2], found 3."),
        ({"seeds": []}, "`seeds`: must have 1 or more entries, found []."),
        ({"training": 3}, "`training`: must be a mapping, with `key: value` lines, found 3."),
        ({"training": {"batch_size": 0}}, "`training.batch_size`: must be at least 1, found 0."),
        ({"training": {"batch_size": 1.5}}, "`training.batch_size`: must be a whole number"),
        ({"training": {"max_iters": "many"}}, "`training.max_iters`: must be a whole number"),
        ({"training": {"learning_rate": 0}}, "`training.learning_rate`: must be greater than 0"),
        (
            {"training": {"crop_size": [64]}},
            "`training.crop_size`: must have 2 or more entries, found [64].",
        ),
        ({"dataset": 3}, "`dataset`: must be text, found 3."),
        ({"models": {"p": 3}}, "`models.p`: "),
        (
            {"class_map": ["a", "b"]},
            "config: `class_map`: must be the path of a YAML file, or a mapping of source classes",
        ),
        ({"class_map": {"a": 3}}, "`class_map`: must be the path of a YAML file, or a mapping"),
        ({"class_map": ""}, "`class_map`: must be the path of a YAML file, or a mapping"),
        ({"training": {"class_weights": [float("inf"), 1]}}, "list one positive weight per class"),
        (
            {"models": {"p": {"config": PIDNET, "checkpoint": {"file": "x", "sha256": "abc"}}}},
            "`models.p.checkpoint.sha256`: 'abc' is not a SHA-256: 8 to 64 digits",
        ),
        (
            {
                "models": {"p": {"config": PIDNET, "checkpoint": "x.pth"}},
                "source": {"dataset": "config/datasets/demo_urban.yaml"},
            },
            "`models.p.checkpoint`: has no effect, because `source` has the models trained here",
        ),
        (
            {"models": {"p": "pidnet-s_2xb6-120k_1024x1024-cityscape"}},
            f"`models.p.config`: 'pidnet-s_2xb6-120k_1024x1024-cityscape' is not a config of the "
            f"model zoo. Did you mean '{PIDNET}'",
        ),
        (
            {"models": {"p": "./missing.py"}},
            "no MMSegmentation config file './missing.py': it must be a .py file, and",
        ),
        (
            {"models": {"p": {"conf": PIDNET}}},
            "`models.p.conf`: unknown key. Did you mean 'config'",
        ),
        (
            {"models": {"p": {"config": PIDNET, "training": {"crop": 3}}}},
            "`models.p.training.crop`: unknown key. Did you mean 'crop_size'?",
        ),
        ({"seeds": []}, "`seeds`: "),
        ({"seeds": [0, 1, 0]}, "`seeds`: 0 is listed twice"),
        ({"seeds": [-1]}, "`seeds.0`: "),
        ({"seeds": [True]}, "`seeds.0`: "),
        ({"seeds": 3}, "`seeds`: "),
        ({"initializations": []}, "`initializations`: "),
        ({"initializations": ["scrach"]}, "'scrach' is not valid. Did you mean 'scratch'?"),
        ({"initializations": ["scratch", "scratch"]}, "'scratch' is listed twice"),
        (
            {"initializations": ["zero_shot"]},
            "`models.pidnet`: the initialization 'zero_shot' needs",
        ),
        ({"initializations": ["finetuned"]}, "'finetuned' needs `source`: 'zoo' for published"),
        ({"source": {"datset": "x"}}, "`source.datset`: unknown key. Did you mean 'dataset'"),
        (
            {"source": {"dataset": "zoo", "initialization": "zoo"}},
            "`source.initialization`: 'zoo' is",
        ),
        ({"class_map": 3}, "`class_map"),
        ({"weights": {"mirrors": "x"}}, "`weights.mirrors`: unknown key. Did you mean 'mirror'"),
        (
            {"models": {"p": {"config": PIDNET, "checkpoint": {"file": "x", "sha256": "g"}}}},
            "`models.p.checkpoint.sha256`: ",
        ),
        ({"training": {"max_iters": 10, "epochs": 2}}, "`max_iters` and `epochs` say the same"),
        ({"training": {"ema": 1.0}}, "`training.ema`: "),
        ({"training": {"early_stopping": 0}}, "`training.early_stopping`: "),
        ({"training": {"save_minutes": 0}}, "`training.save_minutes`: "),
        ({"training": {"save_minutes": 1441}}, "`training.save_minutes`: "),
        ({"training": {"save_minutes": float("nan")}}, "`training.save_minutes`: "),
        ({"training": {"save_minutes": "soon"}}, "`training.save_minutes`: "),
        ({"training": {"epochs": 10**30}}, "`training.epochs`: must be at most 1000000, found 1"),
        (
            {"training": {"max_iters": 10**30}},
            "`training.max_iters`: must be at most 1000000000, found 1",
        ),
        ({"training": {"precision": "float64"}}, "`training.precision`: 'float64' is not valid"),
        ({"training": {"crop_size": [128]}}, "`training.crop_size"),
        ({"training": {"crop_size": 128}}, "`training.crop_size`: "),
        ({"training": {"crop_size": [8, 8]}}, "`training.crop_size.0`: "),
        ({"training": {"batch_size": 0}}, "`training.batch_size`: "),
        ({"training": {"batch_size": "many"}}, "`training.batch_size`: "),
        ({"training": {"batch_size": 2.5}}, "`training.batch_size`: "),
        ({"training": {"learning_rate": -1}}, "`training.learning_rate`: "),
        ({"training": {"learning_rate": float("inf")}}, "`training.learning_rate`: "),
        ({"training": {"max_iters": 10, "val_interval": 20}}, "would never be validated"),
        (
            {"training": {"max_iter": 10}},
            "`training.max_iter`: unknown key. Did you mean 'max_iters'",
        ),
        (
            {"training": {"class_weights": "enett"}},
            "`training.class_weights`: 'enett' is not valid",
        ),
        ({"training": {"class_weights": [1, -2]}}, "`training.class_weights"),
        (
            {"experiment": "datasets"},
            "`experiment`: 'datasets' is a folder that segbench uses itself",
        ),
        ({"initializations": 5}, "`initializations`: "),
        ({"training": {"learning_rate": 10**400}}, "`training.learning_rate`: "),
        ({"dataset": ["x"]}, "`dataset`: "),
        ({"gallery_images": 1000}, "`gallery_images`: "),
        (
            {"models": {"m": "mobilenet-v3-d8_lraspp_4xb4-320k_cityscapes-512x1024"}},
            "`models.m`: crop_size [128, 160] is too small for LR-ASPP: at least [392, 392]",
        ),
        (
            {
                "models": {"u": "unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024"},
                "training": {"crop_size": [100, 160]},
            },
            "`models.u`: crop_size [100, 160] must be multiples of 16 for U-Net",
        ),
    ],
)
def test_a_wrong_config_names_the_key(changes, message):
    with pytest.raises(ConfigError) as caught:
        load_experiment(changed(**changes))
    assert message in str(caught.value)
    assert str(caught.value).startswith("config: ")


@pytest.mark.parametrize("written", ["pidnet_s", "pidnet-s", "PIDNet-S_2xb6"])
def test_the_start_of_a_models_name_is_completed(written):
    with pytest.raises(ConfigError) as caught:
        load_experiment(changed(models={"a": written}))
    assert f"Names that start so: '{PIDNET}'" in str(caught.value)


def test_every_problem_is_reported():
    with pytest.raises(ConfigError) as caught:
        load_experiment(changed(seeds=[], modles=1, experiment=...))
    assert len(str(caught.value).splitlines()) == 3


def test_text_from_the_command_line_becomes_numbers():
    experiment = load_experiment(
        changed(seeds=["0", "7"], training={"max_iters": "10", "learning_rate": "1e-3"})
    )
    assert experiment.seeds == (0, 7)
    assert experiment.training.max_iters == 10
    assert experiment.training.learning_rate == 0.001
    assert load_experiment(changed(seeds=[0, 7])).seeds == experiment.seeds


def test_the_config_cannot_be_changed_afterwards():
    with pytest.raises(Exception, match="frozen"):
        load_experiment(VALID).experiment = "other"


def test_a_model_overrides_what_is_set_for_all():
    models = {"a": PIDNET, "b": {"config": PIDNET, "training": {"max_iters": 7, "val_interval": 7}}}
    experiment = load_experiment(changed(models=models))
    assert experiment.training_of("a").max_iters == 100
    assert experiment.training_of("b").max_iters == 7
    assert experiment.training_of("b").crop_size == (128, 160)


@pytest.mark.parametrize(
    ("own", "expected"), [({"epochs": 3}, (None, 3)), ({"max_iters": 50}, (50, None))]
)
def test_a_length_takes_the_place_of_the_other(own, expected):
    models = {"b": {"config": PIDNET, "training": own}}
    general = {"epochs": 9} if "max_iters" in own else {"max_iters": 9}
    training = load_experiment(changed(models=models, training=general)).training_of("b")
    assert (training.max_iters, training.epochs) == expected


def test_an_override_must_fit_what_is_set_for_all():
    models = {"b": {"config": PIDNET, "training": {"max_iters": 7}}}
    with pytest.raises(ConfigError, match=r"`models\.b\.training`: .*would never be validated"):
        load_experiment(changed(models=models))


def test_the_run_table_has_a_row_per_model_initialization_and_seed():
    models = {
        "a": PIDNET,
        "b": {
            "config": PIDNET,
            "initializations": ["scratch", "imagenet"],
            "backbone_weights": "w.pth",
        },
    }
    experiment = load_experiment(changed(models=models))
    (dataset,) = load_datasets(experiment, ROOT)
    assert run_table(experiment, dataset) == [
        RunKey("a", "scratch", 0), RunKey("a", "scratch", 1),
        RunKey("b", "scratch", 0), RunKey("b", "scratch", 1),
        RunKey("b", "imagenet", 0), RunKey("b", "imagenet", 1),
    ]  # fmt: skip


@pytest.mark.skipif(not missing(["mmdet"]), reason="mmdet is here")
def test_a_model_that_cannot_be_built_here_is_refused_at_once():
    former = "maskformer_r50-d32_8xb2-160k_ade20k-512x512"
    with pytest.raises(ConfigError) as caught:
        load_experiment(changed(models={"m": former}))
    assert f"`models.m.config`: '{former}' needs mmdet, not installed" in str(caught.value)
    head = {"model": {"decode_head": {"_delete_": True, "type": "FCNHead"}}}
    load_experiment(changed(models={"m": {"config": former, "overrides": head}}))


def test_every_fold_is_a_run():
    experiment = load_experiment(changed(seeds=[0, 3]))
    (dataset,) = load_datasets(experiment, ROOT)
    folded = dataset.model_copy(update={"splits": Splits(folds=3)})
    runs = run_table(experiment, folded)
    assert [run.path for run in runs] == [
        f"pidnet/scratch/seed{seed}-fold{fold}" for seed in (0, 3) for fold in (0, 1, 2)
    ]
    points = StartingPoints(experiment, folded, None, "results/x")
    assert [points.run(run.model, run.start, run.repeat) for run in runs] == runs
    with pytest.raises(ConfigError, match="has no run pidnet/scratch/seed3-fold3"):
        points.run("pidnet", "scratch", "3-fold3")


def test_a_dataset_can_lie_elsewhere():
    experiment = load_experiment(changed(dataset_sources={"demo_rural": "/data/roads.zip"}))
    (dataset,) = load_datasets(experiment, ROOT)
    assert dataset.source.path == "/data/roads.zip"
    assert dataset.source.archive == "/data/roads.zip"


def test_a_path_may_start_with_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "mine.yaml"
    for source in ("~/roads", {"path": "~/roads"}):
        path.write_text(yaml.safe_dump(DESCRIPTION | {"source": source}))
        assert load_description(path).source.path == f"{tmp_path}/roads"
    sources = {"mine": "~/elsewhere"}
    experiment = load_experiment(changed(dataset="~/mine.yaml", dataset_sources=sources))
    (dataset,) = load_datasets(experiment)
    assert dataset.source.path == f"{tmp_path}/elsewhere"
    path.write_text(yaml.safe_dump(DESCRIPTION | {"source": "~nobody-of-that-name/roads"}))
    with pytest.raises(ConfigError, match=r"`source.path`: .*home folder that does not exist"):
        load_description(path)


def test_a_source_that_differs_in_its_name_only_is_refused(tmp_path):
    path = ROOT / "config/datasets/demo_rural.yaml"
    copied = yaml.safe_load(path.read_text()) | {"name": "copied", "about": {"licence": "mine"}}
    for key in ("classes",):
        if isinstance(copied.get(key), str):
            copied[key] = str((path.parent / copied[key]).resolve())
    (tmp_path / "copied.yaml").write_text(yaml.safe_dump(copied))
    experiment = load_experiment(
        changed(initializations=["finetuned"], source={"dataset": str(tmp_path / "copied.yaml")})
    )
    with pytest.raises(ConfigError, match=r"`source\.dataset`: 'copied' differs from 'demo_rural'"):
        load_datasets(experiment, ROOT)


def test_a_source_of_an_unknown_dataset_is_refused():
    experiment = load_experiment(changed(dataset_sources={"rural": "/data"}))
    with pytest.raises(ConfigError, match=r"`dataset_sources.rural`.*Valid: demo_rural"):
        load_datasets(experiment, ROOT)


DESCRIPTION_CLASSES = {
    "classes": [{"name": "a", "color": [0, 0, 0]}, {"name": "b", "color": [1, 1, 1]}]
}
DESCRIPTION = {
    "name": "mine",
    "source": "data",
    "images": "{split}/{frame}.jpg",
    "labels": {"format": "index", "path": "{split}/{frame}.png"},
    "classes": DESCRIPTION_CLASSES,
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": "x"}, "`image`: unknown key. Did you mean 'images'?"),
        ({"images": "{split}/{fram}.jpg"}, "`images`: unknown wildcard '{fram}'"),
        ({"labels": {"format": "png", "path": "x"}}, "`labels.format`: 'png' is not valid"),
        ({"labels": {"format": "index", "path": "x.png"}}, "no wildcard '{split}'"),
        ({"labels": {"format": "polygons", "path": "{split}/{frame}"}}, "polygons need `labels`"),
        ({"source": {"demo": "lunar"}}, "`source.demo`: 'lunar' is not valid"),
        ({"splits": {"folds": 1}}, "`splits.folds.count`: "),
        ({"splits": {"folds": {"counts": 3}}}, "`splits.folds.counts`: unknown key"),
        ({"splits": {"folds": 3, "random": {}}}, "`random` and `folds` both draw the splits"),
        ({"source": {}}, "name one of `path`, `url` and `demo`"),
        (
            {"classes": DESCRIPTION_CLASSES | {"ignore_values": [0, 255]}},
            "the value 0 is in `ignore_values` and belongs to a class as well",
        ),
        (
            {
                "labels": {"format": "rgb", "path": "{split}/{frame}.png"},
                "classes": DESCRIPTION_CLASSES | {"ignore_colors": [[1, 1, 1]]},
            },
            "the colour '(1, 1, 1)' is listed twice",
        ),
        (
            {"classes": {"classes": [{"name": "a\nb", "color": [0, 0, 0]}] * 2}},
            "holds a character that cannot be shown",
        ),
        ({"source": {"demo": "rural", "trian": 3}}, "`source.trian`: unknown key. Did you mean"),
        ({"classes": "gone.yaml"}, "gone.yaml: no such file"),
        ({"classes": {"classes": []}}, "`classes.classes`: "),
        (
            {"classes": {"classes": [{"name": "a", "color": [0, 0, 300]}] * 2}},
            "`classes.classes.0.color.2`: ",
        ),
        (
            {"classes": {"classes": [{"name": "a", "color": [0, 0, 0]}] * 2}},
            "the class name 'a' is listed twice",
        ),
    ],
)  # fmt: skip
def test_a_wrong_description_names_file_and_key(tmp_path, changes, message):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(DESCRIPTION | changes))
    with pytest.raises(ConfigError) as caught:
        load_description(path)
    assert message in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"models:\n  on: a\n", "line 2: YAML reads the key on as true or false"),
        (b"seeds: [0, 010]\n", "line 1: YAML reads 010 as a number in base 8 or 60"),
        (b"a: 1\ntime: 1:30\n", "line 2: YAML reads 1:30 as a number in base 8 or 60"),
        (b"a: 1:30.5\n", "line 1: YAML reads 1:30.5 as"),
        ("a: b\n".encode("utf-16"), "is not UTF-8 text. Save it in the encoding UTF-8."),
        ("a: Straße\n".encode("latin-1"), "is not UTF-8 text. Save it in the encoding UTF-8."),
        (b"", "the file is empty"),
        (b"# nothing yet\n", "the file is empty"),
        (b"a: 1\n---\na: 2\n", "a second document starts in line 2"),
        (b"[" * 3000 + b"]" * 3000, "lists or mappings are nested too deeply"),
    ],
)
def test_what_yaml_takes_for_something_else_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_plain_numbers_and_quoted_texts_are_read_as_they_are(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("a: [0, -3, 0.5, 0x1F, '010', '1:30', 08, 1e-3, 2.5e+1]\n'on': on\n")
    values = [0, -3, 0.5, 31, "010", "1:30", "08", "1e-3", 25.0]
    assert read_yaml(path) == {"a": values, "on": True}


def test_a_missing_or_broken_description_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        load_description(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("name: [")
    with pytest.raises(ConfigError, match=r"broken\.yaml: not valid YAML"):
        load_description(tmp_path / "broken.yaml")
    (tmp_path / "twice.yaml").write_text("name: a\nlabels: {path: x, path: y}\n")
    with pytest.raises(ConfigError, match=r"twice\.yaml: .*'path' is given twice, again in line 2"):
        load_description(tmp_path / "twice.yaml")
    (tmp_path / "text.yaml").write_text("just text")
    with pytest.raises(ConfigError, match=r"text\.yaml: a mapping with keys is needed"):
        load_description(tmp_path / "text.yaml")
