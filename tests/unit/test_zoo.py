"""The zoo's index says what is published, found by name, searched and sorted."""

import csv
import io
from pathlib import Path

import pytest
from helpers import ROOT

from segbench.__main__ import main
from segbench.errors import ConfigError
from segbench.zoo.index import all_published, own_configs, published
from segbench.zoo.papers import paper_of
from segbench.zoo.reader import published_crop, read_config
from segbench.zoo.requirements import missing
from segbench.zoo.tree import pretrained_reference


def test_what_is_published_about_a_config():
    """Expected values copied from segformer/metafile.yaml."""
    entry = published("segformer_mit-b0_8xb2-160k_ade20k-512x512.py")
    assert entry is not None
    assert (entry.family, entry.backbone, entry.dataset) == ("Segformer", "MIT-B0", "ADE20K")
    assert (entry.crop_size, entry.miou, entry.memory_gb) == ((512, 512), 0.3741, 2.1)
    assert entry.weights_url.startswith("https://")
    assert entry.weights_url.endswith("_20210726_101530-8ffa8fda.pth")
    assert entry.sha256_prefix == "8ffa8fda"
    assert entry.needs == ()


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        # listed twice, the other time with the weights of 80k iterations
        ("deeplabv3plus_r101-d8_4xb4-160k_ade20k-512x512", "38ed86bb"),
        # listed twice, the other time with the weights of R-50 and not R-50b
        ("pspnet_r50b-d32_4xb2-80k_cityscapes-512x1024", "23bcaf8c"),
        # listed twice, the other time with the weights of SVT-L
        ("twins_pcpvt-l_uperhead_8xb2-160k_ade20k-512x512", "c6095c07"),
    ],
)
def test_of_two_entries_the_one_with_the_weights_of_that_name_counts(name, weights):
    entry = published(name)
    assert entry is not None
    assert entry.sha256_prefix == weights


def test_nothing_is_published_about_a_users_config(tmp_path):
    (tmp_path / "mine.py").write_text("model = {}")
    assert published(str(tmp_path / "mine.py")) is None
    with pytest.raises(ConfigError, match="is not a config of the model zoo"):
        published("segformer_mit-b9")


def test_the_index_is_complete():
    entries = all_published()
    assert len(entries) == 626
    assert all(len(entry.sha256_prefix) == 8 for entry in entries)
    # a heading stands in the place of the dataset for twelve of them in the index
    assert sum(entry.dataset == "Cityscapes" for entry in entries) == 281
    assert sorted(entry.config for entry in entries if not entry.available) == [
        "ddeeplabv3plus_r101-d16-mg124_4xb2-40k_cityscapes-512x1024",
        "eemanet_r50-d8_4xb2-80k_cityscapes-512x1024",
        "fpn_poolformer_s36_8xb4-40k_ade20k-512x512",
    ]


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("ccnet_r101-d8_4xb2-40k_cityscapes-512x1024", ()),
        ("pointrend_r50_4xb2-80k_cityscapes-512x1024", ()),
        ("mask2former_r50_8xb2-90k_cityscapes-512x1024", ("mmdet",)),
        ("convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512", ("mmpretrain",)),
    ],
)
def test_what_a_config_needs_is_known_without_building_it(name, needs):
    entry = published(name)
    assert entry is not None
    assert entry.needs == needs


def test_the_page_of_outcomes_has_every_entry():
    with (ROOT / "docs/zoo.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    own = [entry.config for entry in own_configs()]
    assert sorted(row["config"] for row in rows) == sorted(
        [*(entry.config for entry in all_published()), *own]
    )
    page = (ROOT / "docs/zoo.md").read_text()
    published = [row for row in rows if row["config"] not in own]
    # Mask2Former 13, MaskFormer 4, ConvNeXt 6, PoolFormer 4
    assert sum(row["needs"] in ("mmdet", "mmpretrain") for row in published) == 27
    failing = [row["config"] for row in rows if row["outcome"] in ("fails", "other")]
    assert all(f"- `{name}`: " in page for name in failing)
    working = sum(row["outcome"] == "works" for row in published)
    assert f"**{working} of these" in page
    assert f"[{working} are proven" in (ROOT / "README.md").read_text()


def test_the_crop_is_the_last_size_of_a_name():
    entry = published("mask2former_swin-l-in22k-384x384-pre_8xb2-90k_cityscapes-512x1024")
    assert entry is not None
    assert entry.crop_size == (512, 1024)


def listed(capsys, *arguments: str) -> list[dict[str, str]]:
    """Rows of the table that the command line prints."""
    assert main(["zoo", "--format", "csv", *arguments]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_the_table_is_searched_and_sorted(capsys):
    rows = listed(capsys, "--search", "pidnet", "CITYSCAPES", "--sort", "miou")
    assert [row["config"][:8] for row in rows] == ["pidnet-l", "pidnet-m", "pidnet-s"]
    assert [row["miou"] for row in rows] == ["0.8089", "0.8022", "0.7874"]
    by_memory = listed(capsys, "pidnet", "--sort", "memory")
    assert [row["config"][:8] for row in by_memory] == ["pidnet-s", "pidnet-m", "pidnet-l"]


def test_what_is_not_published_comes_last(capsys):
    rows = listed(capsys, "--family", "unet", "--sort", "miou")
    assert len(rows) == 25
    # 24 of them publish Dice, and one the mean IoU
    assert [bool(row["miou"]) for row in rows] == [True] + [False] * 24


def test_the_table_for_people_shows_per_cent_and_needs(capsys):
    assert main(["zoo", "convnext-tiny", "--dataset", "ade20k"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split()[:5] == ["config", "family", "backbone", "dataset", "crop"]
    assert row.split()[-4:] == ["512x512", "46.11", "4.2", "mmpretrain"]
    assert main(["zoo", "pidnet-s", "--format", "md"]) == 0
    row = capsys.readouterr().out.splitlines()[-1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[5:8] == ["78.74", "3.4", ""]
    assert cells[8].startswith("[bb8e3bcc](https://")


def test_names_without_published_weights_are_listed_too(capsys):
    assert main(["zoo", "--format", "names", "swin-tiny", "levir"]) == 0
    assert capsys.readouterr().out.split() == [
        "swin-tiny-patch4-window7_upernet_1xb8-20k_levir-256x256"
    ]


def test_models_that_need_something_further_can_be_left_out(capsys):
    rows = listed(capsys, "--runnable")
    kept = {row["config"] for row in rows}
    assert "pidnet-s_2xb6-120k_1024x1024-cityscapes" in kept
    assert {row["config"] for row in listed(capsys, "ccnet", "--dataset", "cityscapes")} <= kept
    if missing(["mmdet"]):
        assert not kept & {row["config"] for row in listed(capsys, "mask2former")}
    assert all(row["available"] == "true" for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--family", "deeplab"], "no family 'deeplab' in the zoo. Did you mean"),
        (["--dataset", "citiscapes"], "no dataset 'citiscapes' in the zoo. Did you mean 'Citysc"),
        (["--format", "names", "segfomer"], "none of the 682 names holds all of: segfomer"),
        (["--dataset", "", "pidnet", "xyz"], "none of the 626 models holds: xyz"),
        (["segfomer"], "none of the 626 models holds: segfomer. Did you mean 'segformer'"),
        (["pidnet", "ade20k"], "none of the 626 models holds all of: pidnet, ade20k."),
    ],
)
def test_a_misspelt_choice_is_explained(capsys, arguments, message):
    assert main(["zoo", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_backbones_of_timm_are_listed_beside_the_zoo(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    rows = listed(capsys, "--source", "timm", "dinov")
    assert len(rows) == 8
    small = rows[[row["config"] for row in rows].index(
        "config/models/dinov3-s16_linear_1xb16-20k_512x512.py"
    )]  # fmt: skip
    assert (small["family"], small["backbone"], small["needs"]) == ("DINOv3", "ViT-S/16", "timm")
    assert small["license"].startswith("DINOv3 License")
    assert len(listed(capsys, "--source", "all")) == 626 + len(listed(capsys, "--source", "timm"))
    assert main(["zoo", "--source", "timm"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[-1] == "licence"
    assert main(["zoo"]) == 0
    assert "licence" not in capsys.readouterr().out.splitlines()[0]


def test_the_index_of_timms_backbones_says_what_their_configs_say(monkeypatch):
    monkeypatch.chdir(ROOT)
    entries = own_configs()
    assert {e.config for e in entries} == {str(p) for p in Path("config/models").glob("*.py")}
    for entry in entries:
        assert pretrained_reference(read_config(Path(entry.config)).model) == entry.weights_url
        assert entry.crop_size == published_crop(read_config(Path(entry.config)))
        assert entry.available
        assert entry.license


def test_the_list_of_timms_backbones_needs_the_folder_of_the_snakefile(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(["zoo", "--source", "timm"]) == 1
    assert "run this in the folder of the Snakefile" in capsys.readouterr().err


def test_an_extra_that_is_half_installed_is_missing(monkeypatch):
    there = {"timm"}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name if name in there else None)
    assert missing(["timm"]) == ["timm"]
    there.add("torchvision")
    assert missing(["timm"]) == []
    assert missing(["mmdet"]) == ["mmdet"]


def test_papers_of_timms_backbones_are_known(monkeypatch):
    monkeypatch.chdir(ROOT)
    paper = paper_of("config/models/dinov2-s14_linear_1xb16-20k_512x512.py")
    assert paper is not None
    assert paper.url == "https://arxiv.org/abs/2304.07193"
