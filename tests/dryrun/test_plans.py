"""What Snakemake plans for a config, asked by its command line; nothing is trained here."""

import time

import layouts
import pytest
import yaml
from helpers import ROOT, Checkout

PER_MODEL = {"check_model"}
PER_RUN = {"render_config", "train_run", "evaluate_run"}


def test_the_demo_has_the_jobs_its_config_asks_for(checkout):
    jobs = checkout.dag()
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    models, seeds = len(config["models"]), len(config["seeds"])
    assert {rule: jobs[rule] for rule in PER_RUN} == dict.fromkeys(PER_RUN, models * seeds)
    assert jobs["check_model"] == models
    once = ("obtain_dataset", "prepare_dataset", "check_dataset", "describe_dataset",
            "compare_tables", "compare_figures")  # fmt: skip
    assert {rule: jobs[rule] for rule in once} == dict.fromkeys(once, 1)


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
        (["seeds=[4]"], 3),
        (["seeds=[0,1,2]"], 9),
        (["seeds=[0]", "training={max_iters: 12, val_interval: 4}"], 3),
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
    trainings = len(study["models"]) * len(study["initializations"]) * len(study["seeds"])
    assert len(study["models"]) == 8
    assert {rule: jobs[rule] for rule in PER_RUN} == dict.fromkeys(PER_RUN, trainings)
    assert jobs["obtain_dataset"] == 0


def test_an_archive_is_unpacked_and_a_folder_is_not(checkout):
    (checkout.root / "roads.zip").touch()
    (checkout.root / "roads").mkdir()
    source = "dataset_sources={{demo_rural: {}}}"
    assert checkout.dag("--config", source.format("roads.zip"))["obtain_dataset"] == 1
    assert checkout.dag("--config", source.format("roads"))["obtain_dataset"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "sedes=[1]"], "`sedes`: unknown key. Did you mean 'seeds'?"),
        (["--config", "seeds=[]"], "`seeds`: "),
        (["--config", "dataset=nowhere.yaml"], "nowhere.yaml: no such file"),
        (["--config", "models={x: fast_scn}"], "'fast_scn' is no config of the model zoo"),
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


def test_results_that_cannot_be_written_end_with_one_message(checkout):
    (checkout.root / "results").write_text("in the way")
    done = checkout.run("-n")
    assert done.returncode != 0
    assert f"{checkout.root}/results: is no folder" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_dry_run_leaves_the_report_alone(checkout):
    (checkout.root / "results").mkdir()
    report = checkout.root / "results/report.html"
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
    assert checkout.dag("-F", "--config", source)["obtain_dataset"] == 0


def test_it_runs_in_another_folder(checkout, tmp_path):
    done = checkout.run("-n", "--directory", str(tmp_path / "elsewhere"), expect=0)
    assert "train_run" in done.stdout


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
    # nor does preparing alone replace the report of an experiment
    assert not (checkout.root / "results/report.html").exists()
