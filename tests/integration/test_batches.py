"""Images that are predicted together are predicted as if alone."""

import numpy as np
from mmengine.config import Config

from segbench.engine.build import load_config, scoring_loader, trained_model
from segbench.engine.confusion import predictions

RUN = "results/smallest/runs/fast_scnn/scratch/seed0"


def predicted(config: Config, batch_size: int, conditions=()):
    """Every image, predicted in batches of as many pixels as so many crops have."""
    config.segbench.batch_size = batch_size
    loader = scoring_loader(config, 0, conditions)
    model = trained_model(config, f"{RUN}/best.pth")
    return [len(batch) for batch in loader.batch_sampler], [*predictions(model, loader, 3)]


def test_images_in_batches_are_predicted_as_alone(finished, monkeypatch):
    monkeypatch.chdir(finished.root)
    config, conditions = load_config(f"{RUN}/config.py"), [("resolution", 2.0)]
    sizes, alone = predicted(config, 1, conditions)
    assert sizes == [1] * len(alone)
    sizes, together = predicted(config, 1000, conditions)
    assert sizes == [len(alone)]
    assert [one.name for one in together] == [one.name for one in alone]
    for first, second in zip(alone, together, strict=True):
        assert np.array_equal(first.truth, second.truth)
        assert np.mean(first.classes == second.worse[0]) < 0.9999
    # sums are added up in another order: a pixel between two classes may fall to the other. An
    # image has 6,144 pixels, so that 99.99 % are a statement about all of them
    one, other = (np.stack([p.classes for p in found]) for found in (alone, together))
    assert np.mean(one == other) >= 0.9999
    one, other = (np.stack([p.worse[0] for p in found]) for found in (alone, together))
    assert np.mean(one == other) >= 0.9999
