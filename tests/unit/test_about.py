"""What a description says about its dataset reaches the card, and no preparation."""

import re

import pandas as pd
import pytest
import yaml
from helpers import ROOT
from layouts import idd_lite

from segbench.datasets.check import read_frames
from segbench.datasets.description import load_description
from segbench.datasets.manifest import Manifest
from segbench.datasets.prepare import prepare
from segbench.errors import ConfigError
from segbench.plan.preconditions import origin_of_dataset
from segbench.report.dataset_card import page

# forms of data to be copied, of which everybody has other data
FORMS = {"mmseg_dirs", "mmseg_folders", "coco_instances", "template"}
READY = {
    path.stem: path for path in (ROOT / "config/datasets").glob("*.yaml") if path.stem not in FORMS
}


def described(tmp_path, about):
    """The description of IDD Lite with other texts about it, from a file."""
    data = yaml.safe_load(READY["idd_lite"].read_text())
    data["classes"] = str(ROOT / "config/classes/idd_level1.yaml")
    path = tmp_path / "described.yaml"
    path.write_text(yaml.safe_dump(data | {"about": about}))
    return load_description(path)


@pytest.mark.parametrize("name", READY)
def test_a_ready_description_says_what_people_should_know(name):
    about = load_description(READY[name]).about
    drawn = name.startswith("demo_")
    assert about.size
    assert about.licence
    assert drawn or about.citation
    assert drawn or str(about.homepage).startswith("http")


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"license": "CC BY 4.0"}, "`about.license`: unknown key. Did you mean 'licence'?"),
        ({"licence": 4}, "`about.licence`: must be text"),
        ({"citation": "one\ntwo"}, "`about.citation`: 'one"),
        ({"citation": "\x1b[2J"}, "holds a character that cannot be shown"),
    ],
)
def test_words_about_a_dataset_are_texts_of_one_line(tmp_path, about, message):
    with pytest.raises(ConfigError) as caught:
        described(tmp_path, about)
    assert message in str(caught.value)


def test_no_preparation_depends_on_words_about_a_dataset(tmp_path):
    origins = {
        origin_of_dataset(described(tmp_path, about), "code", "files", str(tmp_path / "none"))
        for about in ({}, {"licence": "CC BY 4.0"})
    }
    assert len(origins) == 1


def test_the_card_shows_words_about_a_dataset_as_text(tmp_path):
    idd_lite(tmp_path / "raw")
    description = described(tmp_path, {"licence": "<b>none</b>", "size": "two images"})
    prepare(description, tmp_path / "raw", tmp_path / "out")
    manifest = Manifest.read(tmp_path / "out/manifest.json")
    frames = read_frames(tmp_path / "out/frames.csv")
    card = page(manifest, [], description.about.model_dump(exclude_none=True), frames)
    assert "<b>licence</b>: &lt;b&gt;none&lt;/b&gt;" in card
    assert "<b>size</b>: two images" in card
    assert "citation" not in card
    # so few images fall into no parts
    assert "that are scored on their own" not in card


def test_the_card_shows_the_parts_on_which_models_are_scored(tmp_path):
    idd_lite(tmp_path / "raw")
    prepare(described(tmp_path, {}), tmp_path / "raw", tmp_path / "out")
    manifest = Manifest.read(tmp_path / "out/manifest.json")
    frames = pd.DataFrame(
        {
            "split": ["train"] * 9 + ["val"] * 18, "name": [f"f{i}" for i in range(27)],
            "group": [""] * 27, "height": 64, "width": [96] * 9 + [96] * 6 + [128] * 12,
            "brightness": [0.9] * 9 + [0.1] * 6 + [0.3] * 6 + [0.5] * 6,
        }
    )  # fmt: skip
    rows = re.findall(r"<tr>(.*?)</tr>", page(manifest, [], {}, frames), re.DOTALL)
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    assert [row for row in cells if row[:1] in (["brightness"], ["size"])] == [
        ["brightness", "dark third", "6", "10.0"], ["brightness", "middle third", "6", "30.0"],
        ["brightness", "bright third", "6", "50.0"], ["size", "128x64", "12", "40.0"],
        ["size", "96x64", "6", "10.0"],
    ]  # fmt: skip
