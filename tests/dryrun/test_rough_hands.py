"""Configs that Snakemake cannot read end in one clear line, not in its traceback."""

import pytest
from helpers import ROOT

CONFIG = (ROOT / "config/config.yaml").read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(CONFIG.encode("utf-16"), "x.yaml: is not UTF-8 text. Save it", id="UTF-16"),
        pytest.param((CONFIG + "# Straße\n").encode("latin-1"), "x.yaml: is not UTF-8",
                     id="Latin-1"),
        pytest.param(b"", "x.yaml: the file is empty", id="empty"),
        pytest.param(b"# nothing\n", "x.yaml: the file is empty", id="only a comment"),
        pytest.param((CONFIG + "---\n" + CONFIG).encode(),
                     "x.yaml: a second document starts in line", id="two documents"),
        pytest.param(b"models: " + b"[" * 3000 + b"]" * 3000,
                     "x.yaml: lists or mappings are nested too deeply", id="3,000 levels"),
        pytest.param(b"- a\n", "x.yaml: a mapping with keys is needed", id="a list"),
        pytest.param(b"experiment: x\n\tdataset: y\n", "x.yaml: not valid YAML", id="a tab"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_be_read_is_one_message(checkout, content, message):
    (checkout.root / "x.yaml").write_bytes(content)
    done = checkout.run("-n", "--configfile", "x.yaml")
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--configfile gone.yaml", "--configfile: no such file: 'gone.yaml'"),
        ("--configfile config/config.yaml check",
         "no such file: 'check'. Correct the path; a target stands before `--configfile`"),
        ("--config training.max_iters=1",
         "'training.max_iters=1' is not KEY=VALUE with a key of the config. A key inside"),
        ("--config experiment", "--config: 'experiment' is not KEY=VALUE"),
    ],
)  # fmt: skip
def test_a_command_line_that_cannot_be_read_is_one_message(checkout, line, message):
    done = checkout.run("-n", *line.split())
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_no_gpu_at_all_is_refused_with_what_to_write(checkout):
    done = checkout.run("-n", "--resources", "gpu=0")
    assert done.returncode != 0
    assert "--resources gpu=0: each training asks for one" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_profile_that_does_not_exist_is_refused(checkout):
    """Snakemake passes over it, and with it over the count of GPUs and the reasons to rerun."""
    done = checkout.run("-n", "--workflow-profile", "profiles/slrm")
    assert done.returncode != 0
    assert "--workflow-profile: 'profiles/slrm' is no profile" in done.stdout + done.stderr
    checkout.run("-n", "--workflow-profile", "none", expect=0)
    site = checkout.root / "site.yaml"
    site.write_text("resources: [gpu=1]\n")
    checkout.run("-n", "--workflow-profile", "site.yaml", expect=0)


def test_a_target_before_the_config_is_one(checkout):
    done = checkout.run("check", "-n", "--configfile", "config/config.yaml", expect=0)
    assert "check_model" in done.stdout
