"""A bundle for machines without a network is whole, or says what it lacks."""

import hashlib

import pytest

from segbench.__main__ import main
from segbench.errors import DataError
from segbench.system.bundle import take_resources, verify_bundle

WEIGHTS = "resources/weights/resnet18-0123abcd.pth"
ARCHIVE = "resources/data/0123456789abcdef/idd.tar.gz"


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


def test_another_folder_is_no_bundle(tmp_path):
    with pytest.raises(DataError, match="is not a bundle: SHA256SUMS cannot be read"):
        verify_bundle(tmp_path)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd"])
def test_a_list_cannot_name_files_outside(bundle, name):
    with (bundle / "SHA256SUMS").open("a") as listed:
        listed.write(f"{'0' * 64}  {name}\n")
    with pytest.raises(DataError, match="names a file outside of the bundle"):
        verify_bundle(bundle)
