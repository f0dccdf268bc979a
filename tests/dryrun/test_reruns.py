"""Nothing retrains without a reason: what is planned again after a finished experiment."""

import os
import shutil

import pytest
import yaml
from helpers import CONFIG, Checkout, planned


def with_config(checkout: Checkout, **changes) -> None:
    path = checkout.root / "smallest.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def test_a_finished_experiment_is_finished(finished):
    assert planned(finished) == {}


def test_touching_files_reruns_nothing(finished_copy):
    for part in ("Snakefile", "workflow", "config", "profiles", "envs"):
        path = finished_copy.root / part
        for file in [path] if path.is_file() else path.rglob("*"):
            os.utime(file)
    os.utime(finished_copy.root / "results/datasets/tiny_rural/manifest.json")
    assert planned(finished_copy) == {}


def test_a_further_seed_is_one_training_per_model(finished_copy):
    jobs = planned(finished_copy, "--config", "seeds=[0,1]")
    assert {rule: jobs[rule] for rule in ("render_config", "train_run", "evaluate_run")} == {
        "render_config": 2, "train_run": 2, "evaluate_run": 2,
    }  # fmt: skip
    assert jobs["check_model"] == jobs["prepare_dataset"] == 0
    pending = finished_copy.pending(*CONFIG, "--config", "seeds=[0,1]")
    trained = {path for path, rule in pending.items() if rule == "train_run"}
    assert trained
    assert all("/seed1/" in path for path in trained)


def test_a_seed_given_as_text_is_the_same_seed(finished_copy):
    assert planned(finished_copy, "--config", "seeds=['0']") == {}


def test_a_further_model_is_one_training(finished_copy):
    models = yaml.safe_load((finished_copy.root / "smallest.yaml").read_text())["models"]
    with_config(finished_copy, models=models | {"fcn": "fcn_r18-d8_4xb2-80k_cityscapes-512x1024"})
    jobs = planned(finished_copy)
    assert (jobs["train_run"], jobs["evaluate_run"], jobs["check_model"]) == (1, 1, 1)
    assert jobs["compare_tables"] == 1


def test_a_model_taken_away_trains_nothing(finished_copy):
    with_config(finished_copy, models={"cgnet": "cgnet_fcn_4xb8-60k_cityscapes-512x1024"})
    jobs = planned(finished_copy)
    assert jobs["train_run"] == jobs["evaluate_run"] == 0
    assert jobs["compare_tables"] == 1


def test_settings_of_one_model_retrain_that_model(finished_copy):
    models = yaml.safe_load((finished_copy.root / "smallest.yaml").read_text())["models"]
    models["cgnet"] = {"config": models["cgnet"], "training": {"batch_size": 3}}
    with_config(finished_copy, models=models)
    assert planned(finished_copy)["train_run"] == 1
    pending = finished_copy.pending(*CONFIG)
    assert {path.split("/")[3] for path, rule in pending.items() if rule == "train_run"} == {
        "cgnet"
    }


def test_more_pictures_draw_the_gallery_and_evaluate_nothing(finished_copy):
    with_config(finished_copy, gallery_images=3)
    jobs = planned(finished_copy)
    assert (jobs["train_run"], jobs["evaluate_run"], jobs["compare_figures"]) == (0, 0, 1)


def test_words_about_a_dataset_rewrite_its_card_and_nothing_else(finished_copy):
    path = finished_copy.root / "tiny_rural.yaml"
    path.write_text(f"{path.read_text()}\nabout: {{licence: CC BY 4.0}}\n")
    assert set(planned(finished_copy)) - {"all"} == {"describe_dataset"}
    shutil.rmtree(finished_copy.root / ".snakemake")
    assert planned(finished_copy)["prepare_dataset"] == 0


LIBRARY = "workflow/scripts/segbench"


@pytest.mark.parametrize(
    ("path", "old", "new", "rules"),
    [
        ("engine/sampling.py", "SHUFFLE, AUGMENT, RARE = 1, 2, 3",
         "SHUFFLE, AUGMENT, RARE = 1, 4, 3",
         {"train_run", "evaluate_run", "measure_cost", "compare_tables", "compare_figures",
          "compare_page"}),
        ("scores/bootstrap.py", "RESAMPLES = 2000", "RESAMPLES = 100",
         {"compare_tables", "compare_figures", "compare_page"}),
        ("system/responses.py", "MAX_REDIRECTS = 10", "MAX_REDIRECTS = 9", set()),
        ("engine/preflight.py", "min(2, int(config", "min(3, int(config", set()),
        ("report/dataset_card.py", "SAMPLES_PER_SPLIT = 3",
         "SAMPLES_PER_SPLIT = 2", {"describe_dataset"}),
        ("engine/sampling.py", "# MMSegmentation's transforms", "# The transforms", set()),
        ("engine/sampling.py", '"""Which image is seen when', '"""What is seen when', set()),
        ("system/progress.py", "BAR_WIDTH = 20", "BAR_WIDTH = 30", set()),
        ("scores/metrics.py", "def mean_iou(",
         "def dice(counts):\n    return counts\n\n\ndef mean_iou(", set()),
        ("scores/metrics.py", "present=predicted > 0)", "present=predicted > 1)",
         {"compare_tables", "compare_figures", "compare_page"}),
        ("engine/checkpoints/load.py", "holds no weights", "has no weights", set()),
        ("engine/trainer.py", "%s: done in %s, best", "%s: finished in %s, best", set()),
        ("config/schema.py", '"must be text"', '"must be a text"', set()),
        ("__main__.py", "list the published models", "list models", set()),
        ("report/figures.py", "height=0.62", "height=0.6", {"compare_figures", "compare_page"}),
        ("report/summary.py", "FEW_IMAGES = 10", "FEW_IMAGES = 11",
         {"compare_tables", "compare_page"}),
    ],
)  # fmt: skip
def test_editing_code_reruns_exactly_what_depends_on_it(finished_copy, path, old, new, rules):
    finished_copy.edit(f"{LIBRARY}/{path}", old, new)
    assert set(planned(finished_copy)) - {"all"} == rules


def test_a_change_in_a_folder_of_the_users_is_noticed(finished_copy):
    raw = finished_copy.root / "raw"
    (finished_copy.root / "resources/datasets/tiny_rural").rename(raw)
    source = ("--config", "dataset_sources={tiny_rural: raw}")
    finished_copy.run("--cores", "2", "prepare", *CONFIG, *source, expect=0)
    assert planned(finished_copy, *source)["prepare_dataset"] == 0
    label = next(raw.glob("gtFine/train/*/*.json"))
    label.write_text(label.read_text() + "\n")
    assert planned(finished_copy, *source)["prepare_dataset"] == 1


def test_a_change_of_code_and_of_the_models_are_both_noticed(finished_copy):
    """A further model must not hide that finished runs have a reason of their own."""
    models = yaml.safe_load((finished_copy.root / "smallest.yaml").read_text())["models"]
    with_config(finished_copy, models=models | {"fcn": "fcn_r18-d8_4xb2-80k_cityscapes-512x1024"})
    finished_copy.edit(
        f"{LIBRARY}/engine/sampling.py",
        "SHUFFLE, AUGMENT, RARE = 1, 2, 3",
        "SHUFFLE, AUGMENT, RARE = 1, 4, 3",
    )
    assert planned(finished_copy)["train_run"] == 3


def other_minutes(checkout):
    experiment = yaml.safe_load((checkout.root / "smallest.yaml").read_text())
    with_config(checkout, training=experiment["training"] | {"save_minutes": 0.5})


def test_saving_at_other_times_reruns_nothing(finished_copy):
    other_minutes(finished_copy)
    assert planned(finished_copy) == {}


def test_saving_at_other_times_reruns_nothing_for_one_model(finished_copy):
    models = yaml.safe_load((finished_copy.root / "smallest.yaml").read_text())["models"]
    models["cgnet"] = {"config": models["cgnet"], "training": {"save_minutes": 0.5}}
    with_config(finished_copy, models=models)
    assert planned(finished_copy) == {}


def test_a_further_seed_that_is_saved_at_other_times_trains_that_seed_alone(finished_copy):
    other_minutes(finished_copy)
    assert planned(finished_copy, "--config", "seeds=[0,1]")["train_run"] == 2


@pytest.fixture
def carried(finished_copy):
    """Results that were carried to another checkout: without Snakemake's own records."""
    shutil.rmtree(finished_copy.root / ".snakemake")
    return finished_copy


def test_carried_results_are_finished(carried):
    assert planned(carried) == {}


def test_saving_at_other_times_reruns_nothing_without_snakemakes_records(carried):
    other_minutes(carried)
    assert planned(carried) == {}


def settings_of_one_model(carried):
    models = yaml.safe_load((carried.root / "smallest.yaml").read_text())["models"]
    models["cgnet"] = {"config": models["cgnet"], "training": {"batch_size": 3}}
    with_config(carried, models=models)


def other_classes(carried):
    text = (carried.root / "tiny_rural.yaml").read_text()
    assert "max_image_pixels" not in text
    (carried.root / "tiny_rural.yaml").write_text(f"{text}\nmax_image_pixels: 1000000\n")


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        (settings_of_one_model, {"render_config", "train_run", "evaluate_run"}),
        (lambda c: with_config(c, gallery_images=3), {"compare_figures", "compare_page"}),
        (other_classes, {"prepare_dataset", "train_run", "evaluate_run"}),
    ],
    ids=["a training setting", "pictures", "the description of the data"],
)
def test_a_change_is_noticed_without_snakemakes_records(carried, change, rules):
    change(carried)
    jobs = planned(carried)
    watched = {"prepare_dataset", "render_config", "train_run", "evaluate_run"}
    assert rules <= set(jobs)
    if "prepare_dataset" not in rules:
        assert set(jobs) & watched == rules & watched


def test_an_edited_label_is_noticed_without_snakemakes_records(finished_copy):
    raw = finished_copy.root / "raw"
    (finished_copy.root / "resources/datasets/tiny_rural").rename(raw)
    source = ("--config", "dataset_sources={tiny_rural: raw}")
    finished_copy.run("--cores", "2", "prepare", *CONFIG, *source, expect=0)
    shutil.rmtree(finished_copy.root / ".snakemake")
    assert planned(finished_copy, *source)["prepare_dataset"] == 0
    label = next(raw.glob("gtFine/train/*/*.json"))
    times = label.stat()
    label.write_text(label.read_text() + "\n")
    os.utime(label, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert planned(finished_copy, *source)["prepare_dataset"] == 1


def test_an_absent_source_is_reported_and_only_prepared_data_is_used(finished_copy):
    raw = finished_copy.root / "raw"
    (finished_copy.root / "resources/datasets/tiny_rural").rename(raw)
    source = ("--config", "dataset_sources={tiny_rural: raw}")
    finished_copy.run("--cores", "2", "prepare", *CONFIG, *source, expect=0)
    raw.rename(finished_copy.root / "unmounted")
    done = finished_copy.run("-n", *CONFIG, *source, expect=0)
    assert "raw: no such source; the dataset 'tiny_rural' is used as it was prepared" in done.stderr
    other_classes(finished_copy)
    refused = finished_copy.run("-n", *CONFIG, *source, expect=1)
    assert "was prepared from another description" in refused.stdout + refused.stderr
