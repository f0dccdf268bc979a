"""Every `snakemake` command of the documentation plans what it promises, as it is printed."""

import re
import shlex

import layouts
import pytest
import torch
import yaml
from helpers import ROOT

PAGES = ("README.md", *(f"docs/{p}.md" for p in ("idd20k2", "offline", "scale", "slurm")))
COMMANDS = [
    f"{page}: {command}"
    for page in PAGES
    for command in re.findall(r"^snakemake [^#\n]*", (ROOT / page).read_text(), re.MULTILINE)
]
MODELS = {
    "cgnet": "cgnet_fcn_4xb8-60k_cityscapes-512x1024",
    "pidnet_s": "pidnet-s_2xb6-120k_1024x1024-cityscapes",
}


def test_commands_are_found():
    assert {command.split(":")[0] for command in COMMANDS} == set(PAGES)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_command_can_be_planned(checkout, command):
    for name in ("many", "my_experiment"):
        (checkout.root / f"{name}.yaml").write_text(
            yaml.safe_dump(
                {
                    "experiment": name,
                    "dataset": "config/datasets/demo_urban.yaml",
                    "models": MODELS,
                    "seeds": list(range(8)),
                }
            )
        )
    layouts.idd20k2(checkout.root / "idd")
    for name in ("data/idd20k_lite.tar.gz", "weights/mobilenet_v2_imagenet.pth"):
        file = checkout.root.parent / "shared" / name
        file.parent.mkdir(parents=True)
        torch.save({}, file)  # opened by a job only
    words = shlex.split(command.split(": ", 1)[1])[1:]
    words = [word.replace("/data/idd20kII", str(checkout.root / "idd")) for word in words]
    planned = checkout.run(*words, "-n", expect=0)
    said = planned.stdout + planned.stderr
    if "evaluate=1/4" in words:
        # a quarter of the sixteen runs
        assert re.search(r"^train_run +4$", said, re.MULTILINE)
    elif "many.yaml" in words and "evaluate" not in words:
        assert re.search(r"^train_run +16$", said, re.MULTILINE)
    else:
        assert re.search(r"^(train_run|check_model) +\d+$", said, re.MULTILINE)
