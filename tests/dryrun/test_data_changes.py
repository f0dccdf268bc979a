"""Of a dataset only its order of classes and what belongs to them count, and only its own files."""

import shutil

import pandas as pd
import pytest
from test_reruns import CONFIG, planned

CLASSES = "config/classes/idd_level1.yaml"
SHOWN = {"compare_tables", "compare_figures", "describe_dataset"}


def recoloured(checkout):
    checkout.edit(CLASSES, "color: [128, 64, 128]", "color: [1, 2, 3]")


def renamed(checkout):
    checkout.edit(CLASSES, "name: drivable", "name: where cars drive")


@pytest.mark.parametrize("change", [recoloured, renamed])
@pytest.mark.parametrize("is_carried", [False, True], ids=["at home", "carried"])
def test_another_name_or_colour_of_a_class_only_draws_and_writes_anew(
    finished_copy, change, is_carried
):
    if is_carried:
        shutil.rmtree(finished_copy.root / ".snakemake")
    change(finished_copy)
    assert set(planned(finished_copy)) - {"all"} == SHOWN


def test_a_label_that_belongs_to_another_class_repeats_everything(finished_copy):
    finished_copy.edit(CLASSES, "[curb, wall, ", "[curb, ")
    finished_copy.edit(CLASSES, "labels: [sky, ", "labels: [sky, wall, ")
    assert {"prepare_dataset", "train_run", "evaluate_run"} <= set(planned(finished_copy))


def test_the_new_name_is_in_the_tables_and_the_data_stay_as_they_are(finished_copy):
    manifest = finished_copy.root / "results/datasets/tiny_rural/manifest.json"
    before = manifest.stat().st_mtime_ns, manifest.read_bytes()
    card = finished_copy.root / "results/datasets/tiny_rural/card/samples.png"
    drawn = card.read_bytes()
    renamed(finished_copy)
    recoloured(finished_copy)
    finished_copy.run("--cores", "2", *CONFIG, expect=0)
    table = pd.read_csv(finished_copy.root / "results/smallest/tables/per_class.csv")
    assert "where cars drive" in set(table["class"])
    assert "drivable" not in set(table["class"])
    assert card.read_bytes() != drawn
    assert "where cars drive" in card.with_name("card.html").read_text()
    assert (manifest.stat().st_mtime_ns, manifest.read_bytes()) == before
    assert planned(finished_copy) == {}
