"""What people read: tables, the verdict, progress, logs, and their safety."""

import logging
import os
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segbench.datasets.manifest import Manifest
from segbench.engine import devices
from segbench.errors import DataError
from segbench.plan.preconditions import refuse_unwritable
from segbench.report import tables
from segbench.report.answers import answers
from segbench.report.columns import best_classes, best_models, readable_models
from segbench.report.comparison import Comparison
from segbench.report.csv_tables import models_table, pairwise_table, per_class_table
from segbench.report.gains import plot_gains
from segbench.report.results import Candidate, Run, rank, training_devices
from segbench.report.summary import (
    OTHER_SCORES,
    escaped,
    facts,
    landing_page,
    markdown_page,
    other_winners,
    remarks,
    verdict,
)
from segbench.system import logs
from segbench.system.progress import Progress, duration
from segbench.system.run_records import CostRecord, MetricsRecord, TrainRecord

TRAINED = TrainRecord(
    run="m/scratch/seed0", seed=0, initialization="scratch", dataset="roads", classes=("road",),
    source_classes=None,
    iterations=8, planned_iterations=8, best_iteration=6, best_val_miou=0.5, crop_size=(64, 96),
    batch_size=2, learning_rate=0.01, optimizer="SGD", precision="float32", ema=None,
    adaptations=(), device="CPU", train_minutes=2.0, peak_memory_mb=1.0, parameters=10,
    versions={}, digest="0" * 16, weights="all random",
)  # fmt: skip
SCORES = MetricsRecord(
    miou=0.5, aacc=0.5, macc=0.5, miou_mapped=0.5, unreachable=(), iou={"road": 0.5, "car": None},
    classes_present=1, images=3, protocol="all", parameters=10,
)  # fmt: skip

COST = CostRecord(
    parameters=10, flops=None, size=(64, 96), latency_ms=5.0, latency_p95_ms=6.0, passes=50,
    memory_mb=1.5, batch_size=4, images_per_second=300.0, batch_memory_mb=4.0,
    device="CPU, 2 threads",
)  # fmt: skip
EMPTY = {"images": 0, "groups": 1, "class_pixels": [1, 1], "class_images": [1, 1],
         "pixels_where_seen": [1, 1], "ignored_pixels": 0, "brightness": 0.5}  # fmt: skip
MANIFEST = Manifest.model_validate(
    {
        "name": "roads",
        "classes": [{"name": n, "color": [1, 2, 3]} for n in ("road", "car")],
        "image_sizes": [[64, 96, 5]],
        "splits": {"train": {**EMPTY, "images": 3}, "val": {**EMPTY, "images": 2}},
    }
)


def run(
    model: str,
    seed: int,
    accuracies: list[int],
    initialization: str = "scratch",
    fold: int | None = None,
) -> Run:
    """A run on images of one class whose mean IoU is the mean of the accuracies."""
    confusion = np.array([[[a, 100 - a], [0, 0]] for a in accuracies], np.int64)
    scores = SCORES.model_copy(update={"miou_mapped": float(np.mean(accuracies)) / 100})
    return Run(
        model, initialization, seed, fold, confusion, scores, TRAINED, pd.DataFrame(), Path(),
        cost=COST,
    )  # fmt: skip


def candidates(**accuracies: list[list[int]]) -> list[Candidate]:
    """Ranked candidates from accuracies per model, seed and image."""
    return rank(
        [run(m, seed, a) for m, seeds in accuracies.items() for seed, a in enumerate(seeds)]
    )


def compared(ranked: list[Candidate]) -> Comparison:
    """A comparison on two images of whose looks nothing is known."""
    columns = ["split", "name", "group", "height", "width", "brightness", "classes", "image_sha256"]
    frames = pd.DataFrame(columns=columns)
    classes = [(one.name, one.color) for one in MANIFEST.classes]
    return Comparison(ranked, MANIFEST, frames, classes, experiment="x")


def test_models_are_ranked_by_the_mean_over_their_seeds():
    ranked = candidates(low=[[30, 50]], high=[[60, 60], [80, 80]])
    assert [c.model for c in ranked] == ["high", "low"]
    table = models_table(ranked)
    assert table["miou"].tolist() == pytest.approx([0.7, 0.4])
    assert table["runs"].tolist() == [2, 1]
    # the standard deviation of 0.6 and 0.8; unknown for a single run
    assert table["miou_std"][0] == pytest.approx(0.02**0.5)
    assert np.isnan(table["miou_std"][1])


def test_pairs_have_a_paired_interval():
    table = pairwise_table(candidates(a=[[50, 90, 10]], b=[[45, 85, 5]], c=[[0, 0, 0]]))
    assert table[["model", "other_model"]].to_numpy().tolist() == [
        ["a", "b"],
        ["a", "c"],
        ["b", "c"],
    ]
    # b is behind by the same amount on every image, so the pair is certain although images vary
    assert table.loc[0, ["miou_difference", "ci_low", "ci_high"]].tolist() == pytest.approx(
        [0.05] * 3
    )


def test_the_verdict_tells_a_clear_lead_from_chance():
    images = list(np.random.default_rng(0).integers(20, 90, 30))
    better = [int(a) + 8 for a in images]
    lead = verdict(candidates(a=[better, better], b=[images, images]), "roads")
    assert "**a** reaches" in lead
    assert "8.0 points ahead of b" in lead
    assert "**a clear lead**" in lead
    shuffled = [*images[1:], images[0] + 1]
    assert "**too close to call**" in verdict(candidates(a=[shuffled], b=[images]), "roads")


def test_the_verdict_asks_for_seeds_where_they_overlap():
    images = list(np.random.default_rng(0).integers(20, 60, 30))

    def lifted(by):
        return [int(a) + by for a in images]

    text = verdict(candidates(a=[lifted(30), lifted(10)], b=[lifted(12), lifted(0)]), "roads")
    assert "**train more seeds**" in text
    assert "With one seed each" in verdict(candidates(a=[lifted(9)], b=[lifted(0)]), "roads")


def test_seeds_that_are_far_apart_give_no_clear_lead():
    images = list(np.random.default_rng(0).integers(20, 60, 30))
    apart = [[int(a) + by for a in images] for by in (0, 25, 50 - 14)]
    ranked = candidates(a=apart, b=[images, images, images])
    (row,) = pairwise_table(ranked).to_dict("records")
    assert row["ci_low"] < 0 < row["miou_difference"] < row["ci_high"]
    assert "**train more seeds**" in verdict(ranked, "roads")


def test_times_of_a_busy_machine_are_marked():
    ranked = candidates(a=[[50, 60]], b=[[40, 60]])
    quiet, busy = readable_models(models_table(ranked)), models_table(ranked)
    assert quiet["ms/image"].tolist() == ["5.0", "5.0"]
    busy.loc[1, "latency_p95_ms"] = 11.0
    assert readable_models(busy)["ms/image"].tolist() == ["5.0", "5.0*"]


def test_equal_predictions_give_no_lead():
    ranked = candidates(a=[[50, 60]], b=[[50, 60]])
    assert "**predicts exactly the same**" in verdict(ranked, "roads")
    assert "leads" not in markdown_page(compared(ranked), models_table(ranked)).splitlines()[0]


def test_a_long_name_is_broken_before_the_first_table_meets_the_picture_of_the_workflow():
    ranked = candidates(**{"a" * 25: [[50, 60]], "b": [[40, 60]]})
    page = landing_page(compared(ranked), models_table(ranked))
    style, _, table = page.partition('<div class="first-table">')
    assert ".first-table { overflow-x: auto }" in style
    assert ".first-table td:first-child { overflow-wrap: anywhere;" in style
    assert f"<td>{'a' * 25}</td>" in table.partition("</div>")[0]


def test_a_model_that_predicts_one_class_alone_is_remarked_on():
    (sentence,) = remarks(candidates(a=[[100, 100]], b=[[90, 100]]), MANIFEST)
    assert sentence.startswith("**a** predicts 'road' for every pixel")


def test_the_protocol_says_where_a_zero_shot_checkpoint_was_chosen():
    record = TRAINED.model_copy(update={"iterations": 0})
    taken = replace(run("a", 0, [50], "zero_shot"), record=record)
    said = facts(rank([taken]), MANIFEST)["checkpoint"]
    assert said == "zero-shot: that of the source as it is, chosen without these images"
    assert "best of the validations" in facts(rank([run("a", 0, [60])]), MANIFEST)["checkpoint"]


def test_the_hardware_is_what_models_were_trained_on():
    record = TRAINED.model_copy(update={"iterations": 0, "device": "another"})
    taken = replace(run("a", 0, [50], "zero_shot"), record=record)
    assert training_devices(rank([taken, run("a", 0, [60])])) == ["CPU"]
    assert training_devices(rank([taken])) == ["another"]


def test_gains_are_measured_from_scratch_where_nothing_is_zero_shot():
    ranked = rank([run("m", 0, [60], "imagenet"), run("m", 0, [50], "scratch")])
    figure = plot_gains(ranked, per_class_table(ranked, ["road", "car"]), "roads: gain")
    (axes, _) = figure.axes
    assert axes.get_title("left") == "roads: gain over scratch"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["m: imagenet"]
    assert [text.get_text() for text in axes.texts] == ["+10"]  # the car is absent


def test_the_verdict_says_that_there_is_only_one_model():
    assert "the only model" in verdict(candidates(a=[[50, 60]]), "roads")


def test_labels_name_the_initialization_only_where_it_differs():
    ranked = rank([run("m", 0, [50], "scratch"), run("m", 0, [60], "imagenet")])
    assert [c.label for c in ranked] == ["m (imagenet)", "m (scratch)"]


def test_readable_tables_escape_what_they_are_given(tmp_path):
    table = pd.DataFrame({"class": ["a_b & <i>", "x|y"], "IoU %": ["50.0", tables.NOT_THERE]})
    none = table.map(lambda _: False)
    tables.write_readable(table, tmp_path / "t", "Title <b>", "Note with 5 % & <script>", none)
    page = (tmp_path / "t.html").read_text()
    assert "<td>a_b &amp; &lt;i&gt;</td>" in page
    assert "<script>" not in page
    latex = (tmp_path / "t.tex").read_text()
    assert r"a\_b \& <i>" in latex
    assert r"IoU \%" in latex
    assert r"x\|y" in (tmp_path / "t.md").read_text()


def test_what_is_best_is_bold_in_every_form(tmp_path):
    table = pd.DataFrame(
        {"class": ["7", "car", "sky"], "a": ["50.0", "0.0", "80.0"], "b": ["49.0", "0.0", "80.0"]}
    )
    tables.write_readable(table, tmp_path / "t", "T", "Note", best_classes(table))
    assert r"7 & \textbf{50.0} & 49.0 \\" in (tmp_path / "t.tex").read_text()
    # where none is right at all, none is best; of equal ones both are
    assert r"car & 0.0 & 0.0 \\" in (tmp_path / "t.tex").read_text()
    assert r"sky & \textbf{80.0} & \textbf{80.0} \\" in (tmp_path / "t.tex").read_text()
    assert "<td><b>50.0</b></td>" in (tmp_path / "t.html").read_text()
    assert "| **50.0** |" in (tmp_path / "t.md").read_text()


def test_models_that_the_data_do_not_tell_apart_are_bold_alike():
    images = [int(a) for a in np.random.default_rng(0).integers(20, 90, 30)]
    ranked = candidates(a=[images], b=[images[1:] + images[:1]], c=[[a // 3 for a in images]])
    table = models_table(ranked)
    bold = best_models(table, readable_models(table))
    assert bold["mean IoU %"].tolist() == [True, True, False]
    assert not bold.drop(columns="mean IoU %").to_numpy().any()


@pytest.mark.parametrize("text", ["a_b", "`x`", "*x*", ".. raw:: html", "|s|", "a:b", "<u@v>"])
def test_names_are_no_markup_in_the_report(text):
    from docutils.core import publish_parts

    body = publish_parts(f"start {escaped(text)} end", writer="html")["body"]
    plain = body.replace("&lt;", "<").replace("&gt;", ">").replace("&#64;", "@")
    assert f"start {text} end" in plain


def test_fractions_are_shown_as_per_cent():
    assert tables.percent(0.54321) == "54.3"
    assert tables.percent(float("nan")) == tables.NOT_THERE


def test_a_progress_line_says_rate_and_remaining_time():
    progress = Progress("run", total=200, unit="it")
    for _ in range(50):
        progress.step()
    line = progress.line(seconds=10.0, detail="loss 0.5")
    assert line == f"run [{'=' * 5}>{' ' * 14}] 50/200 it  loss 0.5  5 it/s  30s left"


def test_progress_of_a_resumed_run_counts_only_its_own_steps():
    progress = Progress("run", total=100, unit="it", start=90)
    for _ in range(5):
        progress.step()
    assert "1 it/s" in progress.line(5.0)
    assert "5s left" in progress.line(5.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(42, "42s"), (185, "3m05s"), (7620, "2h07m"), (float("inf"), "?")]
)
def test_durations_are_written_for_people(seconds, text):
    assert duration(seconds) == text


class FakeJob:
    def __init__(self, log):
        self.log = [str(log)]


def failing_script(tmp_path, error) -> str:
    def main(job):
        print("a library prints")
        raise error

    with pytest.raises(SystemExit) as caught:
        logs.run_script(main, FakeJob(tmp_path / "logs/x.log"))
    assert caught.value.code == 1
    return (tmp_path / "logs/x.log").read_text()


def test_a_users_error_is_a_message_without_traceback(tmp_path, capsys):
    log = failing_script(tmp_path, DataError("a.png: broken; copy it again"))
    shown = capsys.readouterr()
    assert "ERROR: a.png: broken; copy it again" in shown.err
    assert "Traceback" not in shown.err + log
    # what libraries print goes to the log, not between the lines of other jobs
    assert "a library prints" not in shown.out
    assert "a library prints" in log


def test_a_defect_points_to_its_traceback(tmp_path, capsys):
    log = failing_script(tmp_path, ZeroDivisionError("oops"))
    shown = capsys.readouterr().err
    assert "unexpected ZeroDivisionError: oops" in shown
    assert "x.log" in shown
    assert "Traceback" not in shown
    assert "Traceback" in log


def test_a_script_leaves_no_handler_behind(tmp_path, capsys):
    """A handler that outlives its stream prints a traceback for each later message."""
    loggers = (logging.getLogger(), logging.getLogger("segbench"))
    before = [list(logger.handlers) for logger in loggers]
    failing_script(tmp_path, DataError("a.png: broken"))
    with logs.speaking():
        logging.getLogger("segbench").info("12 images")
    assert "12 images" in capsys.readouterr().err
    assert [list(logger.handlers) for logger in loggers] == before


def test_a_full_or_forbidden_disk_is_a_message(tmp_path, capsys):
    failing_script(tmp_path, PermissionError(13, "Permission denied", "/data/x"))
    assert "ERROR: /data/x: no permission" in capsys.readouterr().err


def test_two_jobs_never_lease_the_same_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    gpus = ["cuda:0", "cuda:1"]
    (first,) = devices._lock(gpus, 1, wait=False).items()
    (second,) = devices._lock(gpus, 1, wait=False).items()
    assert {first[0], second[0]} == {0, 1}
    with pytest.raises(RuntimeError, match="too many GPUs of this machine are held"):
        devices._lock(gpus, 1, wait=False)
    first[1].release()
    (third,) = devices._lock(gpus, 1, wait=False).items()
    assert third[0] == first[0]
    folder = next(tmp_path.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    second[1].release()
    third[1].release()


def test_results_must_be_writable(tmp_path):
    refuse_unwritable(tmp_path / "new" / "results")
    (tmp_path / "results").write_text("a file")
    with pytest.raises(Exception, match="results: is not a folder"):
        refuse_unwritable(tmp_path / "results")


def test_a_read_only_folder_is_named(tmp_path, monkeypatch):
    # root may write anywhere, so permission is asked for on behalf of somebody else
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(Exception, match=r"no permission to write results there.*--directory"):
        refuse_unwritable(tmp_path / "results")


def test_a_folder_of_another_user_is_named_with_its_owner(tmp_path, monkeypatch):
    theirs = tmp_path / "results/work"
    theirs.mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, mode: path != theirs)
    monkeypatch.setattr(os, "geteuid", lambda: theirs.stat().st_uid + 1)
    with pytest.raises(Exception, match=rf"results/work: no .*\(it belongs to {theirs.owner()}\)"):
        refuse_unwritable(tmp_path / "results", theirs)


def test_folds_are_compared_fold_by_fold():
    """One fold is hard for both models, so their ranges overlap; yet one is always ahead."""
    folded = rank([
        run(model, 0, [accuracy + gain] * 20, fold=fold)
        for model, gain in (("ahead", 5), ("behind", 0))
        for fold, accuracy in enumerate((30, 60, 80))
    ])  # fmt: skip
    assert [candidate.repeated_over for candidate in folded] == ["folds", "folds"]
    text = verdict(folded, "roads")
    assert "3 folds from 35.0 to 85.0 %" in text
    assert text.endswith("**a clear lead** on these images and folds.")
    assert models_table(folded)["images"].tolist() == [60, 60]


def test_what_a_starting_point_is_worth_is_answered_in_words():
    ranked = rank([
        run("m", 0, [60, 70, 80], "finetuned"), run("m", 0, [10, 20, 30], "zero_shot"),
        run("m", 0, [55, 65, 75], "scratch"), run("other", 0, [50, 50, 50], "scratch"),
    ])  # fmt: skip
    (sentence,) = answers(ranked)
    assert sentence == (
        "**m**: fine-tuned 70.0 %, from scratch 65.0 %, as it is (zero-shot) 20.0 % mean IoU; "
        "fine-tuned against as it is (zero-shot) +50.0 points (+50.0 to +50.0); "
        "fine-tuned against from scratch +5.0 points (+5.0 to +5.0)."
    )


def test_a_winner_by_another_score_is_said():
    scores = {name: [0.5, 0.4] for name in OTHER_SCORES}
    names = {"model": ["a", "b_c"], "initialization": ["scratch", "scratch"]}
    assert other_winners(pd.DataFrame(names | scores)) == []
    scores |= {"aacc": [0.5, 0.6], "miou_worst_tenth": [0.1, 0.2], "macc": [0.5, 0.5]}
    assert other_winners(pd.DataFrame(names | scores)) == [
        "The winner depends on the score: by pixel accuracy, the worst tenth of the images it is "
        "**b\\_c**."
    ]
