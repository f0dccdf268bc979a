"""Zoo configs become trainable ones, with nothing to edit by hand."""

import pytest
from helpers import manifest_of, recipe_of
from mmengine.config import Config

from segbench.errors import ConfigError, ModelError
from segbench.recipe.render import adapted, render
from segbench.zoo.index import all_published
from segbench.zoo.names import (
    config_digest,
    config_path,
    config_paths,
    configs_folder,
    published_batch,
)
from segbench.zoo.requirements import missing
from segbench.zoo.tree import walk

PIXELS = [400, 200, 100, 100, 100, 100, 0]
SEEN = [1000, 1000, 500, 1000, 1000, 200, 0]


@pytest.fixture
def manifest(tmp_path):
    path = tmp_path / "manifest.json"
    manifest_of(7, name="seven", train={"class_pixels": PIXELS, "pixels_where_seen": SEEN}).write(
        path
    )
    return path


@pytest.fixture
def adapt(manifest, tmp_path):
    def adapt_config(name: str, **recipe) -> Config:
        settings = {"crop_size": (192, 256), "batch_size": 8, "max_iters": 1000} | recipe
        text = render(
            config_path(name),
            manifest,
            recipe_of(
                run="run", initialization=settings.pop("initialization", "scratch"), seed=3,
                published_batch=published_batch(name), **settings,
            ),
        )  # fmt: skip
        path = tmp_path / "config.py"
        path.write_text(text)
        return Config.fromfile(path, import_custom_modules=False)

    return adapt_config


FAMILIES = {
    "plain head and auxiliary head": "deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024",
    "cascade of heads": "ocrnet_hr18_4xb2-40k_cityscapes-512x1024",
    "list of auxiliary heads": "icnet_r18-d8_4xb2-80k_cityscapes-832x832",
    "heads inside heads": "knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512",
    "three sorts of heads in a list": "bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024",
    "a detail head in a list": "stdc1_4xb12-80k_cityscapes-512x1024",
    "heads of a transformer": "setr_vit-l_mla_8xb1-80k_cityscapes-768x768",
    "a mask for each class": "segmenter_vit-t_mask_8xb1-160k_ade20k-512x512",
    "a neck": "fastfcn_r50-d32_jpu_enc_4xb2-80k_cityscapes-512x1024",
    "class weights": "pidnet-s_2xb6-120k_1024x1024-cityscapes",
    "sliding window": "segformer_mit-b0_8xb1-160k_cityscapes-1024x1024",
    "zero label reduced": "segformer_mit-b0_8xb2-160k_ade20k-512x512",
    "dataset in a wrapper": "unet-s5-d16_fcn_4xb4-40k_drive-64x64",
}


@pytest.mark.parametrize("name", FAMILIES.values(), ids=FAMILIES)
def test_every_family_is_adapted(adapt, name):
    config = adapt(name)
    heads = [node for node in walk(config.model) if "num_classes" in node]
    assert heads
    assert {node["num_classes"] for node in heads} == {7}
    kinds = {node.get("type") for node in walk(config.model)}
    assert "SyncBN" not in kinds
    assert "Pretrained" not in kinds
    assert not any("class_weight" in node or "pretrained" in node for node in walk(config.model))
    assert tuple(config.model.data_preprocessor.size) == (192, 256)
    pipeline = config.train_dataloader.dataset.pipeline
    assert [tuple(step["crop_size"]) for step in pipeline if "crop_size" in step] == [(192, 256)]
    assert not any("reduce_zero_label" in step for step in pipeline)
    assert config.train_cfg == {
        "type": "IterBasedTrainLoop",
        "max_iters": 1000,
        "val_interval": 100,
    }
    assert config.train_dataloader.batch_size == 8
    assert config.randomness.seed == 3
    assert config.param_scheduler[-1]["end"] == 1000


# the first config of each of the zoo's families that needs nothing further
OF_EACH_FAMILY = {
    entry.family: entry.config
    for entry in reversed(all_published())
    if entry.available and not entry.needs
}


@pytest.mark.parametrize("name", OF_EACH_FAMILY.values(), ids=OF_EACH_FAMILY)
def test_every_family_of_the_zoo_has_its_classes_and_crop(name, manifest):
    wanted = recipe_of(
        run="r", initialization="scratch", seed=0, max_iters=100, crop_size=(416, 448)
    )
    config = adapted(config_path(name), manifest, wanted)
    assert {node["num_classes"] for node in walk(config.model) if "num_classes" in node} == {7}
    assert tuple(config.model.data_preprocessor.size) == (416, 448)
    assert config.train_cfg.max_iters == 100


def test_all_families_but_four_need_no_other_package():
    families = {entry.family for entry in all_published()}
    assert families - OF_EACH_FAMILY.keys() == {"Mask2Former", "MaskFormer", "SAN", "VPD"}


@pytest.mark.parametrize("name", ["beit-base_upernet_8xb2-160k_ade20k-640x640",
                                  "mae-base_upernet_8xb2-amp-160k_ade20k-512x512"])  # fmt: skip
def test_position_tables_of_one_size_are_built_for_the_crop(adapt, name):
    model = adapt(name).model
    assert tuple(model.backbone.img_size) == (192, 256)
    # so that no image comes to the backbone in another size
    assert (model.test_cfg.mode, tuple(model.test_cfg.crop_size)) == ("slide", (192, 256))
    assert tuple(model.data_preprocessor.test_cfg["size"]) == (192, 256)
    with pytest.raises(ModelError, match=r"crop_size \[192, 250\] must be multiples of 32 for"):
        adapt(name, crop_size=(192, 250))


def test_a_binary_map_becomes_one_per_class(adapt):
    loss = {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0}
    head = {"num_classes": 2, "out_channels": 1, "threshold": 0.3, "loss_decode": loss}
    name = FAMILIES["plain head and auxiliary head"]
    adapted_head = adapt(name, overrides={"model": {"decode_head": head}}).model.decode_head
    assert (adapted_head.num_classes, adapted_head.out_channels) == (7, 7)
    assert "threshold" not in adapted_head
    assert adapted_head.loss_decode.use_sigmoid is False


def test_images_are_resized_relative_to_their_own_size(adapt):
    pipeline = adapt(FAMILIES["plain head and auxiliary head"]).train_dataloader.dataset.pipeline
    resize = next(step for step in pipeline if step["type"] == "RandomResize")
    # MMCV writes width first
    assert (tuple(resize["scale"]), tuple(resize["ratio_range"])) == ((320, 227), (0.5, 2.0))


def test_images_keep_their_size_at_test_time_unless_asked(adapt):
    name = FAMILIES["plain head and auxiliary head"]
    kinds = [step["type"] for step in adapt(name).val_dataloader.dataset.pipeline]
    assert kinds == ["LoadImageFromFile", "LoadAnnotations", "PackSegInputs"]
    asked = adapt(name, image_size=(120, 160)).val_dataloader.dataset.pipeline
    # labels are loaded after the resize, so that scores stay at the labels' own size
    assert [step["type"] for step in asked][1:3] == ["Resize", "LoadAnnotations"]
    assert tuple(asked[1]["scale"]) == (160, 120)


def test_a_sliding_window_follows_the_crop(adapt):
    test = adapt(FAMILIES["sliding window"]).model.test_cfg
    # published: windows of 1024 in steps of 768, so three quarters
    assert (tuple(test.crop_size), tuple(test.stride)) == ((192, 256), (144, 192))


def test_the_learning_rate_follows_the_batch(adapt):
    # published: 0.01 for 4 GPUs with 2 images each
    name = FAMILIES["plain head and auxiliary head"]
    assert adapt(name, batch_size=8).optim_wrapper.optimizer.lr == 0.01
    halved = adapt(name, batch_size=4)
    assert halved.optim_wrapper.optimizer.lr == 0.005
    assert "learning rate: 0.01 -> 0.005 (linear rule, batch 8 -> 4)" in halved.segbench.adaptations
    assert adapt(name, batch_size=4, learning_rate=0.3).optim_wrapper.optimizer.lr == 0.3


def test_the_schedule_keeps_its_shape(adapt):
    name = FAMILIES["sliding window"]
    warm_up, poly = adapt(name, max_iters=16000).param_scheduler
    # published: 1,500 of 160,000 iterations warm up
    assert (warm_up["type"], warm_up["begin"], warm_up["end"]) == ("LinearLR", 0, 150)
    assert (poly["type"], poly["begin"], poly["end"]) == ("PolyLR", 150, 16000)


def test_a_warm_up_of_one_iteration_is_dropped(adapt):
    """MMEngine would stay at the start factor for ever."""
    schedulers = adapt(FAMILIES["sliding window"], max_iters=100).param_scheduler
    assert [one["type"] for one in schedulers] == ["PolyLR"]


def test_the_lowest_rate_scales_with_the_highest(adapt):
    # published: from 0.01 down to 0.0001
    config = adapt(FAMILIES["plain head and auxiliary head"], learning_rate=0.001)
    assert config.param_scheduler[0]["eta_min"] == pytest.approx(1e-5)


def test_hard_example_mining_keeps_its_share_of_pixels(adapt):
    config = adapt(FAMILIES["class weights"])
    kept = {node["min_kept"] for node in walk(config.model) if "min_kept" in node}
    # published: 131,072 of 6 images of 1024 x 1024
    assert kept == {round(131072 * (8 * 192 * 256) / (6 * 1024 * 1024))}


def test_hard_examples_of_each_image_do_not_depend_on_the_batch(adapt):
    # a sampler, which multiplies by the images of a batch
    config = adapt("stdc1_4xb12-80k_cityscapes-512x1024")
    kept = {node["min_kept"] for node in walk(config.model) if "min_kept" in node}
    # published: 10,000 pixels of each image of 512 x 1024
    assert kept == {round(10000 * (192 * 256) / (512 * 1024))}


def test_imagenet_names_the_weights_for_the_backbone_alone(adapt):
    config = adapt(FAMILIES["sliding window"], initialization="imagenet", weights="w/b0.pth")
    assert config.model.backbone.init_cfg == {"type": "Pretrained", "checkpoint": "w/b0.pth"}
    assert sum(node.get("type") == "Pretrained" for node in walk(config.model)) == 1


def test_overrides_are_merged_by_the_rules_of_mmengine(adapt):
    optimizer = {"_delete_": True, "type": "AdamW", "lr": "2e-3", "weight_decay": 0.1}
    config = adapt(
        FAMILIES["plain head and auxiliary head"],
        overrides={
            "optim_wrapper": {"optimizer": optimizer},
            "model": {"decode_head": {"dropout_ratio": 0.4}},
        },
    )
    assert config.optim_wrapper.optimizer == {"type": "AdamW", "lr": 0.002, "weight_decay": 0.1}
    assert config.model.decode_head.dropout_ratio == 0.4


def loss_weights(config) -> list[list[float]]:
    return [node["class_weight"] for node in walk(config.model) if "class_weight" in node]


def test_median_frequency_weights_equal_those_worked_out_by_hand(adapt):
    # frequencies 0.4, 0.2, 0.2, 0.1, 0.1, 0.5, none: their median is 0.2
    config = adapt(FAMILIES["plain head and auxiliary head"], class_weights="median_frequency")
    assert loss_weights(config) == [[0.5, 1.0, 1.0, 2.0, 2.0, 0.4, 1.0]] * 2
    assert any(
        note.startswith("class weights (median_freq") for note in config.segbench.adaptations
    )


def test_enet_weights_equal_those_worked_out_by_hand(adapt):
    # 1 / ln(1.02 + share) for shares of 0.4, 0.2 and 0.1
    config = adapt(FAMILIES["class weights"], class_weights="enet")
    # ln 1.42 = 0.350657, ln 1.22 = 0.198851, ln 1.12 = 0.113329
    expected = [2.8518, 5.0289, 8.8239, 8.8239, 8.8239, 8.8239, 1.0]
    assert loss_weights(config) == [pytest.approx(expected, abs=1e-4)] * 3


def test_listed_class_weights_must_fit_the_classes(adapt):
    name = FAMILIES["cascade of heads"]
    assert loss_weights(adapt(name, class_weights=[1, 2, 3, 4, 5, 6, 7]))[0] == [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
    ]
    with pytest.raises(ModelError, match="has 3 weights, but seven has 7 classes"):
        adapt(name, class_weights=[1, 2, 3])


def test_the_same_recipe_gives_the_same_text(manifest):
    name = FAMILIES["cascade of heads"]
    wanted = recipe_of(run="r", initialization="scratch", seed=0, max_iters=10)
    texts = {render(config_path(name), manifest, wanted) for _ in range(2)}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("san-vit-b16_voc12aug-640x640", "exist only for the published classes (SAN). Choose"),
        ("vpd_sd_4xb8-25k_nyu-512x512", "estimates depth and knows no classes (VPD). Choose"),
        ("swin-tiny-patch4-window7_upernet_1xb8-20k_levir-256x256", "takes images of 6 channels"),
    ],
)
def test_a_model_for_another_task_is_refused(manifest, name, message):
    with pytest.raises(ModelError) as caught:
        render(config_path(name), manifest, recipe_of(run="r", initialization="scratch", seed=0))
    assert f"{name}.py: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "need", "command"),
    [
        ("convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512", "mmpretrain",
         "make setup EXTRAS=mmpretrain"),
        ("maskformer_r50-d32_8xb2-160k_ade20k-512x512", "mmdet", "make setup EXTRAS=mmdet"),
    ],
)  # fmt: skip
def test_what_is_not_installed_is_named_with_the_command(manifest, name, need, command):
    if not missing([need]):
        pytest.skip(f"{need} is installed here")
    with pytest.raises(ModelError) as caught:
        render(config_path(name), manifest, recipe_of(run="r", initialization="scratch", seed=0))
    assert need in str(caught.value)
    assert command in str(caught.value)
    assert "not installed here" in str(caught.value)


def test_a_config_that_is_not_python_is_refused(manifest, tmp_path):
    (tmp_path / "mine.py").write_text("model = dict(")
    with pytest.raises(ModelError, match=r"mine\.py: cannot be read as an MMSegmentation config"):
        render(tmp_path / "mine.py", manifest, recipe_of(run="r", initialization="scratch", seed=0))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("odd = dict(deep=[1, float('nan')])", r"`odd\.deep\[1\]` is nan; a finite number"),
        ("import pathlib\nodd = [pathlib.Path('a')]", r"`odd\[0\]` is a PosixPath"),
    ],
)
def test_what_cannot_be_written_and_read_again_is_refused(manifest, tmp_path, line, message):
    base = config_path("pidnet-s_2xb6-120k_1024x1024-cityscapes")
    (tmp_path / "mine.py").write_text(f"_base_ = '{base}'\n{line}\n")
    with pytest.raises(ModelError, match=message):
        render(tmp_path / "mine.py", manifest, recipe_of(run="r", initialization="scratch", seed=0))


def test_the_zoo_is_found_by_name():
    assert len(config_paths()) > 600
    assert config_path("pidnet-s_2xb6-120k_1024x1024-cityscapes.py").is_file()
    with pytest.raises(ConfigError, match="Did you mean 'pidnet-l_2xb6-120k_1024x1024-cityscapes'"):
        config_path("pidnet-l_2xb6-120k_1024x1024-cityscape")


@pytest.mark.parametrize(
    ("name", "batch"),
    [
        ("segformer_mit-b0_8xb1-160k_ade20k-512x512", 8),
        ("fcn_r50-d8_4xb2-40k_x", 8),
        ("mine", None),
    ],
)
def test_the_published_batch_is_read_from_the_name(name, batch):
    assert published_batch(name) == batch


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"optim_wraper": {}},
            "`overrides.optim_wraper`: the config has no such key. Did you mean",
        ),
        ({"model": None}, "has no `model`"),
        ({"model": {"backbone": None}}, "is not an encoder and decoder"),
        ({"optim_wrapper": {"optimizer": "Adam"}}, "no `optim_wrapper.optimizer` with a number"),
        ({"optim_wrapper": {"optimizer": {"lr": "fast"}}}, "no `optim_wrapper.optimizer`"),
        ({"param_scheduler": "x"}, "cannot be adapted"),
        ({"train_dataloader": None}, "has no `train_dataloader`"),
    ],
)
def test_overrides_that_make_no_sense_are_explained(adapt, overrides, message):
    with pytest.raises(ModelError) as caught:
        adapt(FAMILIES["plain head and auxiliary head"], overrides=overrides)
    assert message in str(caught.value)


@pytest.fixture
def own_config(tmp_path):
    """A user's own config with a base of its own that builds on the zoo."""
    zoo_path = config_path(FAMILIES["plain head and auxiliary head"])
    base = tmp_path / "base_8xb4-10k_mine.py"
    base.write_text(f"_base_ = [{str(zoo_path)!r}]\n")
    own = tmp_path / "mine.py"
    own.write_text(
        "_base_ = './base_8xb4-10k_mine.py'\nmodel = dict(decode_head=dict(channels=64))\n"
    )
    return own


def test_a_users_own_config_is_adapted_by_the_batch_of_its_base(adapt, own_config):
    config = adapt(str(own_config), batch_size=8)
    assert config.model.decode_head.channels == 64
    # published for 8 GPUs with 4 images each, by the name of its base
    assert config.optim_wrapper.optimizer.lr == pytest.approx(0.01 * 8 / 32)


def test_a_batch_that_no_name_says_is_noted(adapt, tmp_path, own_config):
    (tmp_path / "plain.py").write_text((tmp_path / "base_8xb4-10k_mine.py").read_text())
    assert published_batch(str(tmp_path / "plain.py")) == 8  # from the zoo's own name
    text = config_path("fast_scnn_8xb4-160k_cityscapes-512x1024").read_text()
    (tmp_path / "copy.py").write_text(text.replace("'../", f"'{configs_folder()}/"))
    config = adapt(str(tmp_path / "copy.py"), batch_size=8)
    assert any("no name like 4xb2" in note for note in config.segbench.adaptations)


def test_editing_a_users_config_or_its_base_is_noticed(own_config, tmp_path):
    before = config_digest(str(own_config))
    own_config.write_text(own_config.read_text() + "# a change\n")
    after = config_digest(str(own_config))
    base = tmp_path / "base_8xb4-10k_mine.py"
    base.write_text(base.read_text() + "# a change\n")
    assert len({before, after, config_digest(str(own_config))}) == 3
    assert config_digest(FAMILIES["class weights"]) == ""
