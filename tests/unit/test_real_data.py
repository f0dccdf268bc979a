"""What real data holds that clean data does not: it is read, told, or refused with a remedy."""

import errno
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from layouts import columns, png_bytes
from test_doctor import refusal
from test_prepare import add, describe

from segbench.datasets.archives import unpack
from segbench.datasets.description import DatasetDescription
from segbench.datasets.labels import LabelReader
from segbench.datasets.prepare import prepare
from segbench.errors import DataError


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "source"
    for split, group, frame in [("train", "1", "a"), ("train", "2", "b"), ("val", "3", "c")]:
        add(root, split, group, frame)
    return root


def test_a_value_after_the_last_class_is_void_where_0_occurs():
    reader = LabelReader(describe())
    with pytest.raises(DataError, match=r"no class: 2 \(is 2 void here\? .*`ignore_values`\)"):
        reader.read(png_bytes(columns(0, 1, 2)))
    with pytest.raises(DataError, match=r"no class: 2 \(do the classes start at 1 here"):
        reader.read(png_bytes(columns(1, 2)))


def test_labels_of_16_bits_are_read_where_the_values_fit():
    reader = LabelReader(describe())
    label = columns(0, 1, 255)
    assert np.array_equal(reader.read(png_bytes(label.astype(np.uint16))), label)
    with pytest.raises(DataError, match="values up to 26001, and class values go up to 255"):
        reader.read(png_bytes(label.astype(np.uint16) + 25746))


def test_an_array_of_numpy_is_refused_by_its_form(source, tmp_path):
    stream = io.BytesIO()
    np.save(stream, np.zeros((12, 16), np.uint8))
    (source / "img/train/1/a.jpg").write_bytes(stream.getvalue())
    (source / "gt/val/3/c.png").write_bytes(stream.getvalue())
    message = refusal(source, tmp_path)
    assert "a.jpg: is a NumPy array (.npy), which is not read (read: JPEG, PNG" in message
    assert "c.png: is a NumPy array (.npy), which is not read" in message
    assert "convert the files to PNG or JPEG" in message
    assert "download" not in message


def test_one_image_is_not_answered_with_a_group_that_there_is_not(tmp_path):
    add(tmp_path / "source", "train", "1", "a")
    flat = {
        "images": "img/train/1/{frame}.jpg",
        "labels": {"format": "index", "path": "gt/train/1/{frame}.png"},
        "splits": {"random": {"val": 0.2}},
    }
    message = refusal(tmp_path / "source", tmp_path, describe(**flat))
    assert "1 images in 1 group cannot fill two splits. Add images, or name a split" in message


def listed(source: Path, train: str, val: str = "c") -> DatasetDescription:
    (source / "train.txt").write_text(train)
    (source / "val.txt").write_text(val)
    return describe(splits={"train": "train.txt", "val": "val.txt"})


@pytest.mark.parametrize("root", ["/SegNet/CamVid/", "SegNet/CamVid/", "./CamVid/"])
def test_a_list_that_begins_at_another_root_is_matched_by_the_ends_of_its_paths(
    source, tmp_path, root, caplog
):
    caplog.set_level("INFO")
    lines = [f"{root}img/train/{n}.jpg {root}gt/train/{n}.png" for n in ("1/a", "2/b")]
    prepare(listed(source, "\n".join(lines)), source, tmp_path / "out")
    assert (tmp_path / "out/splits/train.txt").read_text().split() == ["1__a", "2__b"]
    assert "img/train/1/a.jpg is img/train/1/a.jpg" in caplog.text


def test_a_list_that_begins_below_the_root_is_matched_too(source, tmp_path):
    prepare(listed(source, "train/1/a.jpg\n2/b"), source, tmp_path / "out")
    assert (tmp_path / "out/splits/train.txt").read_text().split() == ["1__a", "2__b"]


def test_a_list_with_folders_that_differ_is_refused_with_an_example(source, tmp_path):
    message = refusal(source, tmp_path, listed(source, "old/train/a.jpg\nb"))
    assert "1 of 2 listed frames have no image" in message
    assert "The folders differ: 'old/train/a.jpg' is listed, and there is img/train/1/a" in message


def test_an_end_that_several_images_have_is_not_guessed(source, tmp_path):
    for group in ("1", "2"):
        add(source, "train", group, "x")
    assert "names both" in refusal(source, tmp_path, listed(source, "1/x\nx.jpg"))


def archive_of(path: Path, *names: str, kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.type = kind
            archive.addfile(info, io.BytesIO())
    return path


def test_an_archive_with_a_file_twice_is_named(tmp_path):
    archive = archive_of(tmp_path / "a.tar.gz", "x", "x")
    with pytest.raises(DataError, match=r"a\.tar\.gz: 'x' is in the archive twice.*yourself"):
        unpack(archive, tmp_path / "out")


def test_a_name_that_is_too_long_is_not_called_damage(tmp_path):
    archive = archive_of(tmp_path / "a.tar.gz", "x" * 300)
    with pytest.raises(DataError, match=r"a\.tar\.gz: holds a name that is longer") as caught:
        unpack(archive, tmp_path / "out")
    assert "ownload" not in str(caught.value)
    assert errno.errorcode[errno.ENAMETOOLONG] not in str(caught.value)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
def test_an_archive_of_endless_entries_is_refused_up_to_a_limit(tmp_path, kind):
    archive = archive_of(tmp_path / "a.tar.gz", *map(str, range(20)), kind=kind)
    with pytest.raises(DataError, match=r"a\.tar\.gz: holds more than 19 entries.*`max_files`"):
        unpack(archive, tmp_path / "out", max_files=19)
    assert not (tmp_path / "out").exists()
    unpack(archive, tmp_path / "out", max_files=20)


def test_a_cut_label_is_refused_wherever_it_is_cut():
    reader = LabelReader(describe())
    data = png_bytes(np.random.default_rng(0).integers(0, 2, (9, 11), dtype=np.uint8))
    reader.read(data)
    for length in range(len(data)):
        with pytest.raises(DataError):
            reader.read(data[:length])
