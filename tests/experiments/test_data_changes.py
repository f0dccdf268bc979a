"""Of a dataset only its order of classes and what belongs to them count, and only its own files."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from helpers import CONFIG, Checkout, planned

CLASSES = "config/classes/idd_level1.yaml"
SHOWN = {"compare_tables", "compare_figures", "compare_page", "describe_dataset"}


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


@dataclass(frozen=True)
class OwnFolder:
    """An experiment whose data are in a folder of the user's own, and prepared."""

    checkout: Checkout
    raw: Path
    source = ("--config", "dataset_sources={tiny_rural: raw}")

    def planned(self) -> set[str]:
        return set(planned(self.checkout, *self.source)) - {"all"}

    def image(self) -> Path:
        return next(self.raw.glob("leftImg8bit/train/*/*.jpg"))

    def label(self) -> Path:
        return next(self.raw.glob("gtFine/train/*/*.json"))


def copy_of(root: Path, target: Path) -> OwnFolder:
    shutil.copytree(root, target, symlinks=True, copy_function=shutil.copy2)
    return OwnFolder(Checkout(target), target / "raw")


@pytest.fixture(scope="module")
def prepared(finished, tmp_path_factory) -> OwnFolder:
    own = copy_of(finished.root, tmp_path_factory.mktemp("own") / "checkout")
    (own.checkout.root / "resources/datasets/tiny_rural").rename(own.raw)
    own.checkout.run("--cores", "2", "prepare", *CONFIG, *own.source, expect=0)
    return own


@pytest.fixture
def own(prepared, tmp_path) -> OwnFolder:
    return copy_of(prepared.checkout.root, tmp_path / "copy")


def touch_all(own):
    for path in own.raw.rglob("*"):
        os.utime(path)


def copied_without_times(own):
    own.raw.rename(own.raw.with_name("old"))
    shutil.copytree(own.raw.with_name("old"), own.raw, copy_function=shutil.copyfile)


def unrelated_files(own):
    (own.raw / "notes.txt").write_text("see the mail\n")
    (own.label().parent / ".DS_Store").write_bytes(b"x")


@pytest.mark.parametrize("change", [touch_all, copied_without_times, unrelated_files])
@pytest.mark.parametrize("is_carried", [False, True], ids=["at home", "carried"])
def test_data_that_hold_the_same_are_not_prepared_again(own, change, is_carried):
    if is_carried:
        shutil.rmtree(own.checkout.root / ".snakemake")
    change(own)
    assert "prepare_dataset" not in own.planned()
    # and what was compared once is known by its new times
    contents = own.checkout.root / "results/work/datasets/tiny_rural/contents.json"
    before = contents.stat().st_mtime_ns
    assert "prepare_dataset" not in own.planned()
    assert contents.stat().st_mtime_ns == before


def edit_label(own):
    own.label().write_text(own.label().read_text() + "\n")


def other_bytes_of_the_same_size(own):
    data = bytearray(own.image().read_bytes())
    data[-3] ^= 1
    own.image().write_bytes(bytes(data))


@pytest.mark.parametrize(
    "change",
    [edit_label, other_bytes_of_the_same_size, lambda own: own.image().unlink()],
    ids=["label", "image", "removed"],
)
def test_data_that_hold_something_else_are_prepared_again(own, change):
    change(own)
    assert "prepare_dataset" in own.planned()


def test_preparing_the_same_once_more_leaves_the_runs_alone(own):
    own.checkout.run("--cores", "2", *CONFIG, *own.source, expect=0)
    assert own.planned() == set()
    own.checkout.run(
        "--cores", "2", "prepare", "--forcerun", "prepare_dataset", *CONFIG, *own.source, expect=0
    )
    assert own.planned() == set()
