"""Weights of the classes in the loss and in the sampling, from how many pixels each has."""

import math
import statistics
from collections.abc import Sequence

from segbench.datasets.manifest import Manifest
from segbench.errors import ModelError

ENET_CONSTANT = 1.02


def class_weights(scheme: str | Sequence[float], manifest: Manifest) -> list[float]:
    """Compute one weight per class from the training split of a dataset.

    `median_frequency` (Eigen and Fergus 2015): median of all frequencies over the class's own,
    which is its pixels over the labelled pixels of the images that show it. `enet` (Paszke et al.
    2016): 1 / ln(1.02 + p) with p the class's share of all labelled pixels. A class without a
    pixel gets 1, as it never enters the loss.

    Args:
        scheme: name of a formula, or the weights themselves.
        manifest: of the prepared dataset.

    Returns:
        A weight per class, rounded to 4 digits so that they read well in a config.

    Raises:
        ModelError: weights are given, but not one per class.
    """
    train, count = manifest.splits["train"], len(manifest.classes)
    if not isinstance(scheme, str):
        if len(scheme) != count:
            raise ModelError(
                f"`training.class_weights` has {len(scheme)} weights, but "
                f"{manifest.name} has {count} classes"
            )
        return [float(weight) for weight in scheme]
    pixels = train.class_pixels
    if scheme == "enet":
        total = sum(pixels)
        weights = [1 / math.log(ENET_CONSTANT + n / total) if n else 1.0 for n in pixels]
    else:
        frequencies = [
            n / seen if n else None for n, seen in zip(pixels, train.pixels_where_seen, strict=True)
        ]
        median = statistics.median(f for f in frequencies if f is not None)
        weights = [median / f if f is not None else 1.0 for f in frequencies]
    return [round(weight, 4) for weight in weights]


def rare_class_probabilities(temperature: float, manifest: Manifest) -> list[float]:
    """How often each class is to be drawn, so that rare ones are seen more often.

    Rare class sampling of DAFormer (Hoyer et al. 2022): proportional to exp((1 - f) / T), with f
    the class's share of the labelled pixels of the training split and T the temperature. The
    lower it is, the more the rarest classes are preferred.

    Args:
        temperature: above 0; DAFormer used 0.01.
        manifest: of the prepared dataset.

    Returns:
        A probability per class, rounded to 6 digits; 0 for a class that no image shows.
    """
    train = manifest.splits["train"]
    total = sum(train.class_pixels)
    shares = [pixels / total for pixels in train.class_pixels]
    rarest = min(share for share in shares if share)
    # relative to the rarest one, so that nothing overflows at a low temperature
    rates = [math.exp((rarest - share) / temperature) if share else 0.0 for share in shares]
    return [round(rate / sum(rates), 6) for rate in rates]
