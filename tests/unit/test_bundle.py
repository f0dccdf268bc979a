"""A bundle for machines without a network is whole, or says what it lacks."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

from segbench.__main__ import main
from segbench.errors import DataError
from segbench.system.bundle import take_resources, verify_bundle

WEIGHTS = "resources/weights/resnet18-0123abcd.pth"
ARCHIVE = "resources/data/0123456789abcdef/idd.tar.gz"
# `python -m segbench.system.bundle`, without the packages of this environment
PLAIN = """
import runpy, sys
sys.path.insert(0, sys.argv.pop(1))
runpy.run_module("segbench.system.bundle", run_name="__main__")
"""


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """A bundle of one wheel, one file of weights and one archive."""
    here = tmp_path / "here"
    for name in (WEIGHTS, ARCHIVE):
        (here / name).parent.mkdir(parents=True)
        (here / name).write_bytes(name.encode())
    monkeypatch.chdir(here)
    folder = tmp_path / "bundle"
    (folder / "wheels").mkdir(parents=True)
    (folder / "wheels/torch-2-none-any.whl").write_bytes(b"wheel")
    assert main(["bundle", "add", str(folder), WEIGHTS, ARCHIVE]) == 0
    return folder


def test_its_list_is_what_sha256sum_would_write(bundle):
    lines = (bundle / "SHA256SUMS").read_text().splitlines()
    assert lines == [
        f"{hashlib.sha256((bundle / name).read_bytes()).hexdigest()}  {name}"
        for name in (ARCHIVE, WEIGHTS, "wheels/torch-2-none-any.whl")
    ]


def test_weights_and_archives_come_to_their_places(bundle, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    assert main(["bundle", "take", str(bundle)]) == 0
    assert (tmp_path / "there" / WEIGHTS).read_bytes() == WEIGHTS.encode()
    assert (tmp_path / "there" / ARCHIVE).read_bytes() == ARCHIVE.encode()
    assert not (tmp_path / "there/wheels").exists()


def test_a_second_experiment_is_added(bundle):
    more = ARCHIVE.replace("idd", "camvid")
    (bundle.parent / "here" / more).write_bytes(b"more")
    assert main(["bundle", "add", str(bundle), more]) == 0
    assert {ARCHIVE, WEIGHTS, more} <= set(verify_bundle(bundle))


@pytest.mark.parametrize("name", [WEIGHTS, "wheels/torch-2-none-any.whl"])
def test_a_file_that_is_missing_or_damaged_is_named(bundle, name, tmp_path, capsys):
    whole = (bundle / name).read_bytes()
    (bundle / name).write_bytes(whole[:-1] + b"?")
    with pytest.raises(DataError, match=f"{name}: is damaged. Copy the bundle again"):
        take_resources(bundle, tmp_path / "there")
    (bundle / name).unlink()
    assert main(["bundle", "verify", str(bundle)]) == 1
    assert f"lacks 1 of 3 files, such as {name}" in capsys.readouterr().err
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize("name", ["here/precious.pth", "../precious.pth", "resources/../x.pth"])
def test_only_what_a_checkout_keeps_in_resources_is_added(bundle, tmp_path, capsys, name):
    """The path of a file itself would be the place of its copy."""
    before = sorted(bundle.rglob("*"))
    path = name if name.startswith(("..", "resources")) else str(tmp_path / name)
    Path(path).write_bytes(b"precious")
    assert main(["bundle", "add", str(bundle), WEIGHTS, path]) == 1
    assert "is not below resources/" in capsys.readouterr().err
    assert Path(path).read_bytes() == b"precious"
    assert sorted(bundle.rglob("*")) == before


def test_a_file_that_is_not_there_is_said(bundle, capsys):
    assert main(["bundle", "add", str(bundle), "resources/weights/other.pth"]) == 1
    assert "resources/weights/other.pth: no such file" in capsys.readouterr().err


def test_a_file_that_was_put_in_by_hand_is_said(bundle):
    (bundle / "wheels/torch-3-none-any.whl").write_bytes(b"newer")
    with pytest.raises(DataError, match=r"does not name, such as wheels/torch-3-none-any\.whl"):
        verify_bundle(bundle)


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "names no file"), ("junk\n", "line 1 is no hash and name"),
     (f"{'0' * 63}  wheels/a.whl\n", "line 1 is no hash and name")],
)  # fmt: skip
def test_a_list_that_was_cut_or_damaged_proves_nothing(bundle, content, said):
    (bundle / "SHA256SUMS").write_text(content)
    with pytest.raises(DataError, match=said):
        verify_bundle(bundle)


@pytest.mark.parametrize("damaged", [True, False])
def test_a_python_without_packages_confirms_it(bundle, damaged):
    if damaged:
        (bundle / WEIGHTS).write_bytes(b"other")
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", PLAIN, str(ROOT / "workflow/scripts"), str(bundle)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == int(damaged)
    assert (
        done.stderr == damaged * f"ERROR: {bundle / WEIGHTS}: is damaged. Copy the bundle again.\n"
    )


def test_another_folder_is_no_bundle(tmp_path):
    with pytest.raises(DataError, match="is not a bundle: SHA256SUMS cannot be read"):
        verify_bundle(tmp_path)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd"])
def test_a_list_cannot_name_files_outside(bundle, name):
    with (bundle / "SHA256SUMS").open("a") as listed:
        listed.write(f"{'0' * 64}  {name}\n")
    with pytest.raises(DataError, match="names a file outside of the bundle"):
        verify_bundle(bundle)
