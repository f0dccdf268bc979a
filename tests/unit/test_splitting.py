"""Random splits keep groups whole and classes in both splits."""

import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import columns, png_bytes, write_image

from segbench.config.schema import parse_section
from segbench.datasets.description import DatasetDescription
from segbench.datasets.prepare import prepare
from segbench.datasets.stratification import stratified_folds, stratified_split
from segbench.errors import DataError


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=40), st.integers(0, 99))
def test_a_group_is_never_divided(groups, seed):
    names = [f"drive{g}" for g in groups]
    pixels = np.ones((len(names), 3), np.int64)
    if len(set(names)) < 2:
        with pytest.raises(ValueError, match="one group"):
            stratified_split(names, pixels, 0.3, seed)
        return
    on_val = stratified_split(names, pixels, 0.3, seed)
    splits: dict[str, set[bool]] = {}
    for name, split in zip(names, on_val.tolist(), strict=True):
        splits.setdefault(name, set()).add(split)
    assert all(len(split) == 1 for split in splits.values())
    assert on_val.any()
    assert not on_val.all()


def test_the_wanted_share_is_met_and_the_seed_decides():
    names = [f"d{i // 4}" for i in range(80)]
    pixels = np.ones((80, 2), np.int64)
    splits = [stratified_split(names, pixels, 0.25, seed) for seed in (0, 0, 1)]
    assert all(split.sum() == 20 for split in splits)
    assert (splits[0] == splits[1]).all()
    assert (splits[0] != splits[2]).any()


def test_a_rare_class_comes_to_both_splits():
    """Two of thirty drives show a class; a blind draw of a tenth would mostly miss it."""
    names = [f"d{i}" for i in range(30)]
    for seed in range(8):
        pixels = np.ones((30, 2), np.int64)
        pixels[:, 1] = 0
        pixels[[4, 17], 1] = 5
        on_val = stratified_split(names, pixels, 0.1, seed)
        assert on_val[[4, 17]].sum() == 1


@st.composite
def datasets(draw):
    """Groups of frames, and which classes each group shows; classes may be in one group alone."""
    groups, classes = draw(st.integers(2, 7)), draw(st.integers(1, 5))
    sizes = draw(st.lists(st.integers(1, 4), min_size=groups, max_size=groups))
    shown = draw(st.lists(st.integers(0, 2**classes - 1), min_size=groups, max_size=groups))
    names = [f"drive{g}" for g, size in enumerate(sizes) for _ in range(size)]
    rows = [[9 * (shown[g] >> c & 1) for c in range(classes)]
            for g, size in enumerate(sizes) for _ in range(size)]  # fmt: skip
    return names, np.array(rows, np.int64)


def sides_of_classes(names, pixels, val_groups) -> list[int]:
    """On how many splits each class is, where these groups are validated on."""
    on_val = np.array([name in val_groups for name in names])
    return [
        int(pixels[on_val, c].any()) + int(pixels[~on_val, c].any()) for c in range(pixels.shape[1])
    ]


def groups_of_size(names, share) -> list[set[str]]:
    """Every set of groups that is about as large as wanted, by trying all of them."""
    groups = sorted(set(names))
    subsets = [
        {group for i, group in enumerate(groups) if number >> i & 1}
        for number in range(1, 2 ** len(groups) - 1)
    ]
    off = [abs(sum(name in one for name in names) - share * len(names)) for one in subsets]
    bound = max(max(names.count(group) for group in groups) / 2, min(off))
    return [one for one, distance in zip(subsets, off, strict=True) if distance <= bound]


@given(datasets(), st.sampled_from([0.1, 0.2, 0.35, 0.5]), st.integers(0, 999))
def test_classes_come_to_both_splits_wherever_any_division_achieves_it(dataset, share, seed):
    names, pixels = dataset
    on_val = stratified_split(names, pixels, share, seed)
    assert (stratified_split(names, pixels, share, seed) == on_val).all()
    val_groups = {name for name, val in zip(names, on_val, strict=True) if val}
    train_groups = {name for name, val in zip(names, on_val, strict=True) if not val}
    assert val_groups
    assert train_groups
    assert not val_groups & train_groups
    possible = groups_of_size(names, share)
    assert val_groups in possible
    found = sides_of_classes(names, pixels, val_groups).count(2)
    assert found == max(sides_of_classes(names, pixels, one).count(2) for one in possible)


@pytest.mark.parametrize("seed", range(4))
def test_many_rare_classes_come_to_both_splits_of_many_drives(seed):
    """Eight classes in two of sixty drives each: a blind draw succeeds twice in 100,000."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((60, 9), np.int64)
    pixels[:, 0] = 100
    for rare, pair in enumerate(rng.permutation(60)[:16].reshape(8, 2), start=1):
        pixels[pair, rare] = 1
    on_val = stratified_split([f"d{i}" for i in range(60)], pixels, 0.15, seed)
    assert on_val.sum() == 9
    assert (pixels[on_val].sum(0) > 0).all()
    assert (pixels[~on_val].sum(0) > 0).all()


def test_many_single_frames_are_split_quickly():
    """Without groups each frame is one of its own."""
    pixels = np.ones((20_000, 26), np.int64)
    pixels[:, 25] = 0
    pixels[[5, 9], 25] = 1
    began = time.monotonic()
    on_val = stratified_split([f"f{i}" for i in range(20_000)], pixels, 0.2, 0)
    # 3 s on two busy cores
    assert time.monotonic() - began < 30
    assert on_val.sum() == 4000
    assert on_val[[5, 9]].sum() == 1


@given(st.lists(st.integers(0, 9), min_size=4, max_size=60), st.integers(2, 5), st.integers(0, 99))
@settings(max_examples=25)
def test_folds_keep_groups_whole_and_use_every_frame_once(groups, folds, seed):
    names, pixels = [f"drive{g}" for g in groups], np.ones((len(groups), 3), np.int64)
    if len(set(names)) < folds:
        with pytest.raises(ValueError, match=f"cannot fill {folds} folds"):
            stratified_folds(names, pixels, folds, seed)
        return
    dealt = stratified_folds(names, pixels, folds, seed)
    assert set(dealt.tolist()) == set(range(folds))
    assert len(set(zip(names, dealt.tolist(), strict=True))) == len(set(names))
    assert (stratified_folds(names, pixels, folds, seed) == dealt).all()


def test_folds_are_of_equal_size_and_share_rare_classes():
    names = [f"d{i // 3}" for i in range(90)]
    pixels = np.ones((90, 2), np.int64)
    pixels[:, 1] = 0
    pixels[[0, 20, 40, 60, 80], 1] = 5  # five drives, five folds
    dealt = stratified_folds(names, pixels, 5, 0)
    assert np.bincount(dealt).tolist() == [18] * 5
    assert sorted(dealt[[0, 20, 40, 60, 80]].tolist()) == [0, 1, 2, 3, 4]


def description(**splits) -> DatasetDescription:
    data = {
        "name": "x", "source": "x", "images": "img/{group}/{frame}.png",
        "labels": {"format": "index", "path": "gt/{group}/{frame}.png"},
        "splits": splits if "folds" in splits else {"random": splits},
        "classes": {"classes": [{"name": n, "color": [i, i, i]} for i, n in enumerate("ab")]},
    }  # fmt: skip
    return parse_section(DatasetDescription, data, "x.yaml")


def make(root, groups=10, frames=2):
    for g in range(groups):
        for f in range(frames):
            write_image(root / f"img/{g}/{f}.png", 100 * g + f)
            label = root / f"gt/{g}/{f}.png"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_bytes(png_bytes(columns(0, 1)))


def test_a_dataset_without_a_split_is_split_and_the_split_is_kept(tmp_path):
    make(tmp_path / "raw")
    prepare(description(val=0.3), tmp_path / "raw", tmp_path / "out")
    val = (tmp_path / "out/splits/val.txt").read_text().split()
    assert len(val) == 6
    assert len({name.split("__")[0] for name in val}) == 3
    assert {p.stem for p in (tmp_path / "out/val_img").iterdir()} == set(val)
    assert {p.stem for p in (tmp_path / "out/val_label").iterdir()} == set(val)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert (manifest["splits"]["train"]["images"], manifest["splits"]["val"]["images"]) == (14, 6)
    assert not [*(tmp_path / "out").glob("unsplit*")]
    prepare(description(val=0.3), tmp_path / "raw", tmp_path / "again")
    assert (tmp_path / "again/splits/val.txt").read_text().split() == val
    prepare(description(val=0.3, seed=1), tmp_path / "raw", tmp_path / "other")
    assert (tmp_path / "other/splits/val.txt").read_text().split() != val


def test_one_group_cannot_be_split(tmp_path):
    make(tmp_path / "raw", groups=1, frames=5)
    with pytest.raises(DataError, match=r"`splits`: 5 images in 1 group cannot fill two splits"):
        prepare(description(), tmp_path / "raw", tmp_path / "out")


def test_every_frame_is_validated_on_in_one_fold(tmp_path):
    make(tmp_path / "raw")
    prepare(description(folds=5), tmp_path / "raw", tmp_path / "out")
    lists = {
        (fold, split): (tmp_path / f"out/splits/fold{fold}/{split}.txt").read_text().split()
        for fold in range(5)
        for split in ("train", "val")
    }
    everything = sorted(f"{g}__{f}" for g in range(10) for f in range(2))
    assert sorted(name for fold in range(5) for name in lists[fold, "val"]) == everything
    for fold in range(5):
        assert sorted(lists[fold, "train"] + lists[fold, "val"]) == everything
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert [(fold["train"], fold["val"]) for fold in manifest["folds"]] == [(16, 4)] * 5
    assert {p.stem for p in (tmp_path / "out/val_img").iterdir()} == set(lists[0, "val"])


@pytest.mark.parametrize("named", [False, True], ids=["drawn", "named"])
def test_a_test_split_is_in_no_fold(tmp_path, named):
    make(tmp_path / "raw")
    folds = {"folds": {"count": 4, "test": 0.2}}
    if named:
        # a drive by its path, and the frames of another by name
        listed = ["img/3/0.png", "img/3/1.png", "7__0", "7__1"]
        (tmp_path / "raw/test.txt").write_text("\n".join(listed))
        folds = {"folds": 4, "test": "test.txt"}
    prepare(description(**folds), tmp_path / "raw", tmp_path / "out")
    test = (tmp_path / "out/splits/test.txt").read_text().split()
    assert len(test) == 4
    assert len({name.split("__")[0] for name in test}) == 2
    if named:
        assert sorted(test) == ["3__0", "3__1", "7__0", "7__1"]
    assert {p.stem for p in (tmp_path / "out/test_img").iterdir()} == set(test)
    validated = []
    for fold in range(4):
        lists = [
            (tmp_path / f"out/splits/fold{fold}/{split}.txt").read_text().split()
            for split in ("train", "val")
        ]
        assert len(lists[0]) + len(lists[1]) == 16
        assert not {*lists[0], *lists[1]} & set(test)
        validated += lists[1]
    assert len(validated) == len(set(validated)) == 16
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert [(fold["train"], fold["val"]) for fold in manifest["folds"]] == [(12, 4)] * 4
    assert manifest["splits"]["test"]["images"] == 4


def test_too_few_groups_for_folds_and_a_test_split_are_refused(tmp_path):
    make(tmp_path / "raw", groups=4)
    folds = {"folds": {"count": 4, "test": 0.2}}
    with pytest.raises(DataError, match="8 images in 4 groups cannot fill 4 folds and a test"):
        prepare(description(**folds), tmp_path / "raw", tmp_path / "out")


def test_too_few_groups_for_the_folds_are_refused(tmp_path):
    make(tmp_path / "raw", groups=3)
    with pytest.raises(DataError, match=r"`splits`: 6 images in 3 groups cannot fill 5 folds"):
        prepare(description(folds=5), tmp_path / "raw", tmp_path / "out")
