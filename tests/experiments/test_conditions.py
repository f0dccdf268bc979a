"""The same images made worse: scored in the evaluation, shown, and no reason to train again."""

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from segbench.engine.build import load_config, scoring_loader
from segbench.engine.conditions import made_worse
from segbench.report.predictions import StoredPredictions

CONDITIONS = "{resolution: [4, 2], jpeg: [10], blur: [2.5]}"
SETTINGS = f"evaluation={{protocol: idd_lite, conditions: {CONDITIONS}}}"
RUN = "results/smallest/runs/cgnet/scratch/seed0"


@pytest.fixture(scope="module")
def scored(finished, tmp_path_factory):
    copied = finished.with_results(tmp_path_factory.mktemp("conditions") / "checkout")
    classes = yaml.safe_load((copied.root / "config/classes/idd_level1.yaml").read_text())
    labels = [found["labels"] for found in classes["classes"]]
    coarser = [
        {"name": "ground", "color": [0, 0, 0], "labels": [*labels[0], *labels[1]]},
        {"name": "above", "color": [9, 9, 9], "labels": [one for own in labels[2:] for one in own]},
    ]
    (copied.root / "two.yaml").write_text(yaml.safe_dump({"classes": coarser}))
    with (copied.root / "tiny_rural.yaml").open("a") as description:
        description.write("coarser: {two: two.yaml}\n")
    words = ("--configfile", "smallest.yaml", "--config", SETTINGS)
    planned = copied.pending(*words)
    copied.run("--cores", "2", *words, expect=0)
    return copied, set(planned.values())


def test_nothing_is_trained_again(scored):
    assert "evaluate_run" in scored[1]
    assert not scored[1] & {"train_run", "check_model", "prepare_dataset"}


def test_a_table_and_a_sentence_say_what_is_retained(scored):
    results = scored[0].root / "results/smallest"
    table = pd.read_csv(results / "tables/conditions.csv")
    of_one = table[table["model"] == "cgnet"]
    order = ["resolution", "resolution", "jpeg", "blur", "all"]
    assert of_one["condition"].tolist() == order
    assert of_one["level"].tolist()[:4] == [2, 4, 10, 2.5]
    as_it_is = pd.read_csv(results / "tables/models.csv").set_index("model")["miou"]["cgnet"]
    assert of_one["retained"].to_numpy() == pytest.approx(of_one["miou"].to_numpy() / as_it_is)
    assert "of its mean IoU under the 4 worse conditions" in (results / "README.md").read_text()
    assert (results / "figures/conditions.svg").is_file()


def test_coarser_classes_are_scored_from_the_same_counts(scored):
    results = scored[0].root / "results/smallest"
    table = pd.read_csv(results / "tables/levels.csv").set_index(["model", "class"])["iou"]
    counts = np.load(scored[0].root / RUN / "confusion.npz")["confusion"].sum(0)
    both, truth, predicted = counts[:2, :2].sum(), counts[:2].sum(), counts[:, :2].sum()
    assert table["cgnet", "ground"] == pytest.approx(both / (truth + predicted - both))
    means = [table["cgnet", one] for one in ("ground", "above")]
    assert table["cgnet", "mean IoU"] == pytest.approx(np.mean(means))
    assert "mean IoU at two, with 2 classes" in (results / "README.md").read_text()


def test_predictions_are_compared_at_the_size_of_the_protocol(scored):
    run = scored[0].root / RUN
    said = json.loads((run / "metrics.json").read_text())["protocol"]
    assert "scored at 256x128" in said
    counts, kept = np.load(run / "confusion.npz"), StoredPredictions(run / "predictions.npz")
    for name in kept.names:
        label = scored[0].root / f"results/datasets/tiny_rural/val_label/{name}.png"
        truth, predicted = (
            np.asarray(Image.fromarray(ids).resize((256, 128), Image.Resampling.NEAREST))
            for ids in (np.asarray(Image.open(label)), kept[name])
        )
        seen = truth != 255
        expected = np.zeros(counts["confusion"].shape[1:], np.int64)
        np.add.at(expected, (truth[seen], predicted[seen]), 1)
        row = counts["names"].tolist().index(name)
        assert np.array_equal(counts["confusion"][row], expected)


def test_an_image_is_given_as_it_is_and_then_worse(scored, monkeypatch):
    monkeypatch.chdir(scored[0].root)
    config = load_config(scored[0].root / RUN / "config.py")
    plain = next(iter(scoring_loader(config, 0)))
    conditions = [("resolution", 2.0), ("jpeg", 10.0)]
    first, *worse = next(iter(scoring_loader(config, 0, conditions)))
    assert np.array_equal(first["inputs"][0], plain["inputs"][0])
    image = plain["inputs"][0].numpy().transpose(1, 2, 0)
    for condition, one in zip(conditions, worse, strict=True):
        expected = made_worse(image, condition).transpose(2, 0, 1)
        assert np.array_equal(one["inputs"][0], expected)
        assert not np.array_equal(one["inputs"][0], plain["inputs"][0])


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            "{conditions: {resolution: [1]}}",
            "`evaluation.conditions.resolution.0`: must be at least 2",
        ),
        ("{conditions: {jpeg: [0]}}", "`evaluation.conditions.jpeg.0`: must be at least 1"),
        ("{conditions: {blur: [1, 1]}}", "names a level twice"),
        ("{conditions: {fog: [1]}}", "`evaluation.conditions.fog`: unknown key"),
        ("{protocol: ido}", "`evaluation.protocol`"),
    ],
)
def test_conditions_that_cannot_be_are_refused_by_the_dry_run(checkout, settings, said):
    done = checkout.run("-n", "--config", f"evaluation={settings}")
    assert done.returncode != 0
    assert said in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
