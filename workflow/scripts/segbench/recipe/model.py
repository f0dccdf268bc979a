"""Fit a model to a dataset: its heads and losses to the classes, its backbone to the crop.

Works on the `model` section of a config, in place, and says what it changed. Never imports torch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from segbench.errors import ModelError
from segbench.recipe.class_weights import class_weights
from segbench.zoo.families import FIXED_SIZE_BACKBONES
from segbench.zoo.tree import Node, Shape, walk

WEIGHTED_LOSSES = ("CrossEntropyLoss", "OhemCrossEntropy", "FocalLoss")
Note = Callable[[str], None]


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
    model: Node, scheme: str | Sequence[float], manifest: Mapping[str, Any], note: Note
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
        node["class_weight"] = weights
    name = scheme if isinstance(scheme, str) else "given"
    note(f"class weights ({name}) in {len(losses)} losses: {weights}")


def set_image_size(model: Node, crop: Shape, note: Note) -> None:
    """Build a backbone that knows one image size for the crop, and test it on such windows.

    Leaves other backbones alone: their position tables, if any, are resized as they run.

    Raises:
        ModelError: the crop is no multiple of what the backbone can divide.
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
