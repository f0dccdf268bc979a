"""Images that are kept decoded show a training what image files would, to the bit."""

import copy
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from helpers import recipe_of
from mmseg.registry import DATASETS

from segbench.datasets.description import load_description
from segbench.datasets.prepare import prepare
from segbench.demo.dataset import draw_dataset
from segbench.engine import decoded
from segbench.engine.build import load_config, training_frames
from segbench.engine.decoded import DecodedImages, Index, kept_decoded
from segbench.engine.execution import Execution
from segbench.recipe.render import render
from segbench.zoo.names import config_path

ROOT = Path(__file__).parents[2]
FAST_SCNN = "fast_scnn_8xb4-160k_cityscapes-512x1024"
# a recipe that crops what it resized, and one whose steps are not known here
RECIPES = {"known": FAST_SCNN, "unknown": "pidnet-s_2xb6-120k_1024x1024-cityscapes"}
IMAGES, HEIGHT, WIDTH = 6, 60, 90
ENOUGH = 1000  # samples of a training
TWO = Execution(threads=2)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoded")
    draw_dataset(folder / "source", "urban", IMAGES, 2, (HEIGHT, WIDTH))
    description = load_description(ROOT / "config/datasets/demo_urban.yaml")
    prepare(description, folder / "source", folder / "drawn", 1)
    return folder / "drawn"


@pytest.fixture
def config(prepared, tmp_path):
    """The rendered config of a training on drawn images."""

    def rendered(model=FAST_SCNN):
        recipe = recipe_of(
            run="m/scratch/seed0", initialization="scratch", seed=0, crop_size=(32, 48),
            batch_size=2, max_iters=100,
        )  # fmt: skip
        path = tmp_path / "config.py"
        path.write_text(render(config_path(model), prepared / "manifest.json", recipe))
        return load_config(path)

    return rendered


@pytest.fixture
def frames(config):
    return DATASETS.build(copy.deepcopy(config().train_dataloader.dataset))


@pytest.mark.parametrize("recipe", RECIPES)
def test_samples_are_those_of_the_image_files_to_the_bit(config, frames, tmp_path, recipe):
    folder = kept_decoded(frames, tmp_path / "kept", ENOUGH, TWO)
    wanted = config(RECIPES[recipe])
    from_files, kept = training_frames(wanted, 3), training_frames(wanted, 3, folder)
    for position in range(3 * IMAGES):
        first, second = from_files[position], kept[position]
        assert np.array_equal(first["inputs"], second["inputs"])
        one, other = first["data_samples"], second["data_samples"]
        assert one.keys() == other.keys()
        assert "gt_sem_seg" in one.keys()  # noqa: SIM118  not a mapping
        for name in one.keys():  # noqa: SIM118
            assert np.array_equal(one.get(name).data, other.get(name).data)
        assert one.metainfo == other.metainfo


def test_what_is_kept_is_not_decoded_again(frames, tmp_path, monkeypatch):
    folder = kept_decoded(frames, tmp_path / "kept", ENOUGH, TWO)
    assert folder == tmp_path / "kept/drawn"
    assert (folder / "pixels.bin").stat().st_size == IMAGES * HEIGHT * WIDTH * 4
    monkeypatch.setattr(decoded, "_decode_all", None)
    assert kept_decoded(frames, tmp_path / "kept", ENOUGH, TWO) == folder


def damage(folder):
    content = bytearray((folder / "pixels.bin").read_bytes())
    content[-5] ^= 1
    (folder / "pixels.bin").write_bytes(content)


def cut(folder):
    content = (folder / "pixels.bin").read_bytes()
    (folder / "pixels.bin").write_bytes(content[:-1])


def empty(folder):
    (folder / "pixels.bin").write_bytes(b"")


def of_another_version(folder):
    text = (folder / "index.json").read_text()
    (folder / "index.json").write_text(text.replace('"form": 1', '"form": 0'))


def of_other_data(folder):
    index = Index.read(folder / "index.json")
    index.model_copy(update={"made_from": "other"}).write(folder / "index.json")


def without_index(folder):
    (folder / "index.json").unlink()


@pytest.mark.parametrize(
    "spoil", [damage, cut, empty, of_another_version, of_other_data, without_index]
)
def test_what_is_damaged_or_of_something_else_is_made_anew(frames, tmp_path, spoil):
    folder = kept_decoded(frames, tmp_path / "kept", ENOUGH, TWO)
    sound = (folder / "pixels.bin").read_bytes()
    spoil(folder)
    assert kept_decoded(frames, tmp_path / "kept", ENOUGH, TWO) == folder
    assert (folder / "pixels.bin").read_bytes() == sound
    assert DecodedImages(folder).is_sound(1)


def test_too_little_space_is_said_with_the_size_that_is_needed(
    frames, tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, 150_000))
    assert kept_decoded(frames, tmp_path / "kept", ENOUGH, TWO) is None
    assert "the decoded images would take 0.0 GB" in caplog.text
    assert not [*(tmp_path / "kept/drawn").glob("pixels*")]


def test_more_than_is_allowed_is_not_kept(frames, tmp_path):
    size = IMAGES * HEIGHT * WIDTH * 4
    # what is there from before is not used either, once less is allowed
    for most, is_kept in [((size - 1) / 1e9, False), (0, False), (size / 1e9, True), (0, False)]:
        execution = Execution(threads=2, decoded_gb=most)
        found = kept_decoded(frames, tmp_path / "kept", ENOUGH, execution)
        assert (found is not None) == is_kept


def test_a_short_training_decodes_what_it_sees(frames, tmp_path):
    assert kept_decoded(frames, tmp_path / "kept", 2 * IMAGES - 1, TWO) is None
    assert not (tmp_path / "kept").exists()


def test_an_image_that_cannot_be_decoded_leaves_the_training_to_its_files(
    frames, tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO")
    sizes = frames.sizes()
    monkeypatch.setattr(type(frames), "sizes", lambda self: [(HEIGHT + 1, WIDTH), *sizes[1:]])
    assert kept_decoded(frames, tmp_path / "kept", ENOUGH, TWO) is None
    assert "has another size than the table of frames says" in caplog.text
    assert [path.name for path in (tmp_path / "kept/drawn").iterdir()] == ["lock"]


def test_what_is_kept_cannot_be_written(frames, tmp_path):
    folder = kept_decoded(frames, tmp_path / "kept", ENOUGH, TWO)
    image, label = DecodedImages(folder)[IMAGES - 1]
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert label.shape == (HEIGHT, WIDTH)
    with pytest.raises(ValueError, match="read-only"):
        image[0] = 0
