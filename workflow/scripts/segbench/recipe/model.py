"""Fit a model to a dataset: its heads and losses to the classes, its backbone to the crop.

The first functions are steps of an adaptation; the others work on the `model` section of any
config, in place, and say what they changed.
"""

import math
from collections.abc import Callable, Sequence

from segbench.datasets.manifest import Manifest
from segbench.errors import ModelError
from segbench.recipe.class_weights import class_weights
from segbench.recipe.context import Adaptation
from segbench.zoo.families import FIXED_SIZE_BACKBONES, SIZE_DIVISORS, patch_size
from segbench.zoo.tree import Node, Shape, as_pair, drop_files, inner_backbone, walk

SAMPLER = "OHEMPixelSampler"  # of hard pixels
WEIGHTED_LOSSES = ("CrossEntropyLoss", "OhemCrossEntropy", "FocalLoss")
Note = Callable[[str], None]


def fit_classes(run: Adaptation) -> None:
    """The dataset's classes in every head, or those of the source where nothing is trained."""
    classes = run.manifest.classes if run.is_trained else run.recipe.source_classes
    set_classes(run.config.model, len(classes), run.note)
    if run.training.class_weights is not None and run.is_trained:
        set_class_weights(run.config.model, run.training.class_weights, run.manifest, run.note)


def normalise_on_one_device(run: Adaptation) -> None:
    """Batch norm of one device."""
    for node in walk(run.config.model):
        if node.get("type") == "SyncBN":
            node["type"] = "BN"
            run.note("SyncBN -> BN (one device)")


def drop_published_weights(run: Adaptation) -> None:
    """No file but the one that the run starts from."""
    model = run.config.model
    for node in walk(model):
        for key in drop_files(node):
            run.note(f"published pretrained `{key}` dropped")
        if str(node.get("type")).rpartition(".")[2] == "TIMMBackbone":
            _forbid_downloads(node)
    weights = run.recipe.weights
    if run.recipe.initialization == "imagenet":
        inner = inner_backbone(model.backbone)
        inner["init_cfg"] = {"type": "Pretrained", "checkpoint": weights}
        run.note(f"backbone starts from {weights}, heads are random")
    elif run.recipe.initialization == "scratch":
        run.note("every weight starts random")
    else:
        run.note(f"every weight starts from {weights}")


def _forbid_downloads(node: Node) -> None:
    """Keep timm off the network: MMSegmentation's wrapper fetches weights unless told not to."""
    node["pretrained"] = False
    if ":" in str(node.get("model_name")):
        raise ModelError(
            f"`model_name` '{node['model_name']}' makes timm download a model. Name one of its own."
        )


def fit_crop(run: Adaptation) -> None:
    """One crop for training, preprocessor and windows."""
    model, patch = run.config.model, patch_size(run.config.model.backbone)
    model.setdefault("data_preprocessor", {"type": "SegDataPreProcessor"})
    crop = (rounded_up(run.crop[0], patch), rounded_up(run.crop[1], patch))
    if crop != run.crop:
        model.data_preprocessor.seg_pad_val = 255
        run.note(f"crops padded to {crop[0]}x{crop[1]}, whole patches; padding has no loss")
    model.data_preprocessor.size = crop
    model.data_preprocessor.pop("size_divisor", None)
    set_image_size(model, crop, run.note)
    divisor = SIZE_DIVISORS.get(model.backbone.get("type")) or patch
    if divisor > 1:
        model.data_preprocessor.test_cfg = {"size_divisor": divisor}
        run.note(f"test images padded to multiples of {divisor}, and the padding cut off again")
    test = model.get("test_cfg") or {}
    if test.get("mode") == "slide":
        stride = as_pair(test.get("stride", run.published_crop))
        window = as_pair(test.get("crop_size", run.published_crop))
        test["crop_size"] = crop
        test["stride"] = tuple(
            max(1, side * step // width)
            for side, step, width in zip(crop, stride, window, strict=True)
        )
        run.note(f"sliding window at test time: {crop[0]}x{crop[1]}")


def rounded_up(size: int, step: int) -> int:
    """The least multiple of a step that is not smaller than a size."""
    return -(-size // step) * step


def keep_share_of_hard_examples(run: Adaptation) -> None:
    """Keep the published share of pixels: `min_kept` counts pixels of a published batch or crop."""
    of_crop = math.prod(run.crop) / math.prod(run.published_crop)
    of_batch = run.batch / (run.config.train_dataloader.get("batch_size") or 1)
    for node in walk(run.config.model):
        if isinstance(node.get("min_kept"), int):
            # the sampler multiplies by the images itself, and wants more than one pixel
            share, least = (of_crop, 2) if node.get("type") == SAMPLER else (of_crop * of_batch, 1)
            kept = max(least, round(node["min_kept"] * share))
            run.note(f"min_kept of OHEM: {node['min_kept']} -> {kept} (same share of pixels)")
            node["min_kept"] = kept


def set_classes(model: Node, count: int, note: Note) -> None:
    """Give every head a number of classes, and drop class weights of the published ones.

    Raises:
        ModelError: no head has `num_classes`.
    """
    heads = [node for node in walk(model) if "num_classes" in node]
    if not heads:
        raise ModelError("no head with `num_classes` found, so it cannot be adapted")
    published = {int(node["num_classes"]) for node in heads}
    for node in heads:
        if node.get("out_channels") == 1:
            _one_map_per_class(node, count, note)
        elif node.get("out_channels") == node["num_classes"]:
            node["out_channels"] = count
        node["num_classes"] = count
    listed = ", ".join(map(str, sorted(published)))
    note(f"num_classes: {listed} -> {count} in {len(heads)} heads")
    for node in walk(model):
        weights = node.get("class_weight")
        if not isinstance(weights, Sequence) or isinstance(weights, str):
            continue
        if len(weights) - 1 in published:  # the last weight is that of `no object`
            node["class_weight"] = [1.0] * count + [float(weights[-1])]
        else:
            del node["class_weight"]
            note(f"class_weight of {len(weights)} published classes dropped")


def _one_map_per_class(head: Node, count: int, note: Note) -> None:
    """Two classes told apart by one map and a threshold: give every class a map of its own."""
    head["out_channels"] = count
    head.pop("threshold", None)
    for node in walk(head):
        if node.get("use_sigmoid"):
            node["use_sigmoid"] = False
    note(f"one binary map -> {count} maps with softmax")


def set_class_weights(
    model: Node, scheme: str | Sequence[float], manifest: Manifest, note: Note
) -> None:
    """Weigh the classes in every loss that knows how to.

    Args:
        model: changed in place.
        scheme: a formula of `segbench.recipe.class_weights`, or a weight per class.
        manifest: of the prepared dataset.
        note: receives what was changed.

    Raises:
        ModelError: no loss takes weights, or there are not as many weights as classes.
    """
    weights = class_weights(scheme, manifest)
    losses = [node for node in walk(model) if node.get("type") in WEIGHTED_LOSSES]
    if not losses:
        raise ModelError("no loss of this model takes `training.class_weights`; leave it out")
    for node in losses:
        # a loss with sigmoids multiplies whole maps, [batch, classes, height, width]
        of_maps = node.get("type") == "CrossEntropyLoss" and node.get("use_sigmoid")
        node["class_weight"] = [[[weight]] for weight in weights] if of_maps else weights
    name = scheme if isinstance(scheme, str) else "given"
    note(f"class weights ({name}) in {len(losses)} losses: {weights}")


def set_image_size(model: Node, crop: Shape, note: Note) -> None:
    """Build a backbone that knows one image size for the crop, and test it on such windows.

    Leaves other backbones alone: their position tables, if any, are resized as they run.

    Raises:
        ModelError: the crop is not a multiple of what the backbone can divide.
    """
    backbone, (height, width) = model["backbone"], crop
    if backbone.get("type") not in FIXED_SIZE_BACKBONES:
        return
    # the last of its four maps has half of the patches' resolution
    step = 2 * int(backbone.get("patch_size", 16))
    if height % step or width % step:
        raise ModelError(
            f"crop_size [{height}, {width}] must be multiples of {step} for {backbone['type']}"
        )
    backbone["img_size"] = crop
    # smaller images are padded, larger ones cut into windows
    model["data_preprocessor"]["test_cfg"] = {"size": crop}
    if (model.get("test_cfg") or {}).get("mode") != "slide":
        stride = (height * 2 // 3, width * 2 // 3)
        model["test_cfg"] = {"mode": "slide", "crop_size": crop, "stride": stride}
    note(f"{backbone['type']} built for images of {height}x{width}, the crop")
