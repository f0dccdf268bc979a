"""What Snakemake plans for a config, asked by its command line; nothing is trained here."""

import shutil
import time
from collections import Counter

import layouts
import pytest
import yaml
from helpers import ROOT, Checkout


def test_the_demo_has_the_jobs_its_config_asks_for(checkout):
    jobs = checkout.dag()
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    # one model from scratch, fine-tuned and zero-shot, with its source; two from scratch alone
    assert len(config["models"]) == 3
    assert len(config["seeds"]) == 1
    assert (jobs["render_config"], jobs["check_model"]) == (6, 6)
    assert (jobs["train_run"], jobs["take_checkpoint"], jobs["evaluate_run"]) == (5, 1, 5)
    per_dataset = ("obtain_dataset", "prepare_dataset", "check_dataset", "describe_dataset")
    assert {rule: jobs[rule] for rule in per_dataset} == dict.fromkeys(per_dataset, 2)
    assert {jobs[f"compare_{what}"] for what in ("tables", "figures", "page")} == {1}


def test_another_config_takes_the_place_of_the_default_one(checkout):
    (checkout.root / "mine.yaml").write_text(
        yaml.safe_dump(
            {
                "experiment": "mine",
                "dataset": "config/datasets/demo_urban.yaml",
                "models": {"cgnet": "cgnet_fcn_4xb8-60k_cityscapes-512x1024"},
            }
        )
    )
    jobs = checkout.dag("--configfile", "mine.yaml")
    # none of the default experiment's models comes along
    assert jobs["train_run"] == 1
    assert jobs["check_model"] == 1


@pytest.mark.parametrize(
    ("settings", "trainings"),
    [
        (["seeds=[4]"], 5),
        (["seeds=[0,1,2]"], 15),
        (["seeds=[0,1]", "initializations=[scratch]"], 6),
        (["training={max_iters: 12, val_interval: 4}"], 5),
    ],
)
def test_keys_can_be_set_on_the_command_line(checkout, settings, trainings):
    assert checkout.dag("--config", *settings)["train_run"] == trainings


@pytest.mark.parametrize(
    ("target", "last", "left_out"),
    [
        ("prepare", "prepare_dataset", "check_dataset"),
        ("check", "pass_checks", "train_run"),
        ("train", "train_run", "evaluate_run"),
        ("evaluate", "evaluate_run", "compare_tables"),
        ("compare", "compare_tables", None),
    ],
)
def test_targets_stop_where_they_say(checkout, target, last, left_out):
    jobs = checkout.dag(target)
    assert jobs[last] >= 1
    if left_out:
        assert jobs[left_out] == 0


def test_the_zoo_is_a_table_and_nothing_else(checkout):
    done = checkout.run("--cores", "1", "zoo", expect=0)
    assert "626 published models: results/zoo.csv" in done.stderr
    assert len((checkout.root / "results/zoo.csv").read_text().splitlines()) == 627
    assert not (checkout.root / "results/datasets").exists()


def test_the_study_of_idd_is_planned_for_a_folder_in_its_layout(checkout):
    layouts.idd20k2(checkout.root / "idd")
    jobs = checkout.dag(
        "--configfile", "config/experiments/idd20k2.yaml",
        "--config", f"dataset_sources={{idd20k2: {checkout.root / 'idd'}}}",
    )  # fmt: skip
    study = yaml.safe_load((ROOT / "config/experiments/idd20k2.yaml").read_text())
    # each as it is, fine-tuned, and from ImageNet; one from scratch instead
    assert len(study["models"]) == 8
    assert (jobs["train_run"], jobs["take_checkpoint"], jobs["evaluate_run"]) == (16, 8, 24)
    # a checkpoint for every model, and a backbone for all but one
    assert jobs["get_weights"] == 8 + 7
    assert jobs["obtain_dataset"] == 0


def test_an_archive_is_unpacked_and_a_folder_is_not(checkout):
    (checkout.root / "roads.zip").touch()
    (checkout.root / "roads").mkdir()
    source = "dataset_sources={{demo_rural: {}}}"
    alone = "initializations=[scratch]"  # without the dataset that models learn first
    assert checkout.dag("--config", alone, source.format("roads.zip"))["obtain_dataset"] == 1
    assert checkout.dag("--config", alone, source.format("roads"))["obtain_dataset"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "sedes=[1]"], "`sedes`: unknown key. Did you mean 'seeds'?"),
        (["--config", "seeds=[]"], "`seeds`: "),
        (["--config", "dataset=nowhere.yaml"], "`dataset`: "),
        (["--config", "models={x: fast_scn}"], "'fast_scn' is not a config of the model zoo"),
        (
            ["--config", "dataset_sources={demo_rural: /nowhere/idd.tar.gz}"],
            "/nowhere/idd.tar.gz: no such archive, so the dataset 'demo_rural' cannot be prepared",
        ),
    ],
)
def test_a_wrong_config_ends_with_one_message(checkout, arguments, message):
    done = checkout.run("-n", *arguments)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_key_that_is_given_twice_is_refused(checkout):
    path = checkout.root / "config/config.yaml"
    path.write_text(path.read_text() + "seeds: [1]\n")
    done = checkout.run("-n")
    assert done.returncode != 0
    assert "the key 'seeds' is given twice" in done.stdout + done.stderr


def test_results_that_cannot_be_written_end_with_one_message(checkout):
    (checkout.root / "results").write_text("in the way")
    done = checkout.run("-n")
    assert done.returncode != 0
    assert f"{checkout.root}/results: is not a folder" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_dry_run_leaves_the_report_alone(checkout):
    report = checkout.root / "results/demo/report.html"
    report.parent.mkdir(parents=True)
    report.write_text("the last report")
    checkout.run("-n", expect=0)
    checkout.run("-np", expect=0)
    assert report.read_text() == "the last report"


def test_a_dry_run_is_quick(checkout):
    checkout.run("-n", expect=0)
    began = time.monotonic()
    checkout.run("-n", expect=0)
    # 1.8 s on two idle cores; the margin is for machines that do other things beside
    assert time.monotonic() - began < 9


def test_the_lint_of_snakemake_finds_nothing(checkout):
    done = checkout.run("--lint")
    assert "Congratulations, your workflow is in a good condition!" in done.stdout + done.stderr
    assert done.returncode == 0


def resources(checkout: Checkout, *arguments: str) -> dict[str, str]:
    """Resolved resources by rule, as a dry run prints them."""
    done = checkout.run("-n", *arguments, expect=0)
    found, rule = {}, ""
    for line in done.stdout.splitlines() + done.stderr.splitlines():
        if line.startswith(("rule ", "localrule ")):
            rule = line.split()[1].rstrip(":")
        if line.strip().startswith("resources: "):
            found[rule] = line
    return found


def test_the_slurm_profile_gives_every_rule_its_resources(checkout):
    found = resources(checkout, "--workflow-profile", "profiles/slurm")
    assert "gpu=1" in found["train_run"]
    assert "gpu=1" in found["evaluate_run"]
    for rule in ("obtain_dataset", "prepare_dataset", "train_run", "compare_figures"):
        assert all(key in found[rule] for key in ("mem_mb=", "runtime=", "slurm_partition=")), rule
    # only rules that need one are sent to the GPU partition
    partition = {
        rule: line.split("slurm_partition=")[1].split(",")[0]
        for rule, line in found.items()
        if "slurm_partition=" in line
    }
    assert partition["train_run"] == partition["evaluate_run"] != partition["prepare_dataset"]
    assert "gpu=1" not in found["prepare_dataset"]


def test_the_slurm_profile_does_not_cap_gpus(checkout):
    """A cap is global: on a cluster it would queue one training at a time."""
    profile = yaml.safe_load((checkout.root / "profiles/slurm/profile.yaml").read_text())
    assert "resources" not in profile
    assert profile["executor"] == "slurm"


def test_a_folder_of_the_users_is_never_an_output(checkout):
    """Forcing every rule must not remove what the workflow did not make."""
    (checkout.root / "resources/datasets/demo_rural").mkdir(parents=True)
    source = "dataset_sources={demo_rural: resources/datasets/demo_rural}"
    jobs = checkout.dag("-F", "--config", "initializations=[scratch]", source)
    assert jobs["obtain_dataset"] == 0


def test_it_runs_in_another_folder(checkout, tmp_path):
    done = checkout.run("-n", "--directory", str(tmp_path / "elsewhere"), expect=0)
    assert "train_run" in done.stdout


def test_it_is_a_module_of_another_workflow(checkout, tmp_path):
    outer = Checkout(tmp_path / "outer")
    (outer.root / "config").mkdir(parents=True)
    shutil.copy(checkout.root / "config/config.yaml", outer.root / "config")
    (outer.root / "Snakefile").write_text(
        'configfile: "config/config.yaml"\n'
        "module segbench:\n"
        f'    snakefile: "{checkout.root}/Snakefile"\n'
        "    config: config\n"
        "use rule * from segbench\n"
        "rule everything:\n"
        "    default_target: True\n"
        "    input: rules.all.input\n"
    )
    assert outer.dag() == checkout.dag() - Counter(["all"]) + Counter(["everything"])
    done = outer.run("-n", "--cores", "1", expect=0)
    assert "train_run" in done.stdout


def test_files_are_found_beside_the_config_that_names_them(checkout, tmp_path):
    study = tmp_path / "study"
    study.mkdir()
    description = (checkout.root / "config/datasets/demo_rural.yaml").read_text()
    classes = checkout.root / "config/classes/idd_level1.yaml"
    (study / "roads.yaml").write_text(
        description.replace("../classes/idd_level1.yaml", str(classes))
    )
    pairs = checkout.root / "config/class_maps/cityscapes_to_idd_level1.yaml"
    shutil.copy(pairs, study / "pairs.yaml")
    experiment = {
        "experiment": "x",
        "dataset": "roads.yaml",
        "models": {"m": "fast_scnn_8xb4-160k_cityscapes-512x1024"},
        "initializations": ["zero_shot"],
        "source": "zoo",
        "class_map": "pairs.yaml",
    }
    (study / "study.yaml").write_text(yaml.safe_dump(experiment))
    assert checkout.dag("--configfile", str(study / "study.yaml"))["take_checkpoint"] == 1
    elsewhere = ("--directory", str(tmp_path / "elsewhere"))
    checkout.run("-n", *elsewhere, "--configfile", "../study/study.yaml", expect=0)
    for key in ("dataset", "class_map"):
        (study / "study.yaml").write_text(yaml.safe_dump(experiment | {key: "gone.yaml"}))
        done = checkout.run("-n", "--configfile", str(study / "study.yaml"))
        assert f"(looked in {checkout.root} and {study})" in done.stdout + done.stderr


def test_a_missing_weights_file_names_the_key(checkout):
    (checkout.root / "config/config.yaml").write_text(
        yaml.safe_dump(
            {
                "experiment": "x",
                "dataset": "config/datasets/demo_rural.yaml",
                "models": {
                    "m": {
                        "config": "mobilenet-v2-d8_fcn_4xb2-80k_cityscapes-512x1024",
                        "backbone_weights": "gone.pth",
                    }
                },
                "initializations": ["imagenet"],
            }
        )
    )
    done = checkout.run("-n")
    assert "`models.m.backbone_weights`: no such file: gone.pth" in done.stdout + done.stderr


def test_the_library_of_this_checkout_is_run(checkout, tmp_path, monkeypatch):
    """Another segbench on the path, such as that of another checkout, is not used."""
    other = tmp_path / "other/segbench"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise RuntimeError('the wrong library')")
    monkeypatch.setenv("PYTHONPATH", str(other.parent))
    (checkout.root / "config/datasets/demo_rural.yaml").write_text(
        (ROOT / "tests/tiny_rural.yaml").read_text().replace("config/classes", "../classes")
    )
    checkout.run("--cores", "2", "prepare", expect=0)
    # nor does preparing alone write a report
    assert not list(checkout.root.glob("results/**/report.html"))


def with_url(checkout: Checkout, url: str, sha256: str) -> None:
    """Make the demo's dataset one that is downloaded."""
    path = "config/datasets/demo_rural.yaml"
    text = (checkout.root / path).read_text()
    line = next(line for line in text.splitlines() if line.startswith("source:"))
    checkout.edit(path, line, f"source: {{url: '{url}', sha256: '{sha256}'}}")


def test_a_url_is_planned_without_a_network(checkout):
    # nothing listens on the port of discarded things
    with_url(checkout, "http://127.0.0.1:9/some/idd_lite.tar.gz?download=1", "ab" * 32)
    alone = ("--config", "initializations=[scratch]")
    pending = checkout.pending("prepare", *alone)
    archive = "resources/data/abababababababab/idd_lite.tar.gz"
    assert pending[archive] == "download_dataset"
    assert checkout.dag("prepare", *alone)["obtain_dataset"] == 1
    # a copy of one's own is used instead
    (checkout.root / "roads").mkdir()
    jobs = checkout.dag("prepare", *alone, "dataset_sources={demo_rural: roads}")
    assert jobs["download_dataset"] == jobs["obtain_dataset"] == 0


def test_a_source_run_comes_before_what_starts_from_it(checkout):
    pending = checkout.pending()
    runs = "results/demo/runs/cgnet"
    assert pending[f"{runs}/source/seed0/best.pth"] == "train_run"
    assert pending[f"{runs}/finetuned/seed0/best.pth"] == "train_run"
    assert pending[f"{runs}/zero_shot/seed0/best.pth"] == "take_checkpoint"
    assert not any("pidnet_s/source" in path for path in pending)
    done = checkout.run("-n", f"{runs}/finetuned/seed0/best.pth", expect=0)
    assert f"{runs}/source/seed0/best.pth" in done.stdout


def test_published_weights_are_got_once_and_without_a_network_in_the_plan(checkout):
    (checkout.root / "mine.yaml").write_text(
        yaml.safe_dump(
            {
                "experiment": "mine",
                "dataset": "config/datasets/demo_rural.yaml",
                "source": "zoo",
                "class_map": "config/class_maps/cityscapes_to_idd_level1.yaml",
                "models": {
                    "fcn": "fcn_r18-d8_4xb2-80k_cityscapes-512x1024",
                    "pspnet": "pspnet_r18-d8_4xb2-80k_cityscapes-512x1024",
                },
                "initializations": ["imagenet", "finetuned", "zero_shot"],
                "seeds": [0, 1],
            }
        )
    )
    jobs = checkout.dag("--configfile", "mine.yaml")
    # a checkpoint for each model, and one backbone for both
    assert jobs["get_weights"] == 3
    assert (jobs["train_run"], jobs["take_checkpoint"]) == (8, 2)
    pending = checkout.pending("--configfile", "mine.yaml")
    assert "resources/weights/resnet18_v1c-b5776b93.pth" in pending


def test_folds_are_runs_of_one_prepared_dataset(checkout):
    text = (checkout.root / "config/datasets/demo_rural.yaml").read_text()
    (checkout.root / "config/datasets/demo_rural.yaml").write_text(
        text.replace("{split}", "train") + "splits: {folds: 3}\n"
    )
    jobs = checkout.dag("--config", "initializations=[scratch]")
    assert (jobs["prepare_dataset"], jobs["check_model"]) == (1, 3)
    assert (jobs["train_run"], jobs["evaluate_run"]) == (9, 9)
    pending = checkout.pending("--config", "initializations=[scratch]")
    assert "results/demo/runs/cgnet/scratch/seed0-fold2/best.pth" in pending
