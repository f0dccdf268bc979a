"""The zoo's index says what is published, found by name, searched and sorted."""

import pytest

from segbench.errors import ConfigError
from segbench.zoo_index import OPERATORS, all_published, published


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


def test_nothing_is_published_about_ones_own_config(tmp_path):
    (tmp_path / "mine.py").write_text("model = {}")
    assert published(str(tmp_path / "mine.py")) is None
    with pytest.raises(ConfigError, match="is no config of the model zoo"):
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
        ("ccnet_r101-d8_4xb2-40k_cityscapes-512x1024", (OPERATORS,)),
        ("pointrend_r50_4xb2-80k_cityscapes-512x1024", (OPERATORS,)),
        ("mask2former_r50_8xb2-90k_cityscapes-512x1024", (OPERATORS, "mmdet")),
        ("convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512", ("mmpretrain",)),
    ],
)
def test_what_a_config_needs_is_known_without_building_it(name, needs):
    entry = published(name)
    assert entry is not None
    assert entry.needs == needs
