"""A digest of code changes when the code does something else, and not when it says something else.

Every case edits a copy of the real library and asks which scripts would run again.
"""

import re
import shutil

import pytest
from helpers import ROOT

from segbench.system import code_digest as digests

LIBRARY = "segbench"


@pytest.fixture
def digests_after(tmp_path, monkeypatch):
    """Digests of all scripts after edits of a copy: file, old text, new text."""

    def digests_of(*edits: tuple[str, str, str]) -> dict[str, str]:
        copy = tmp_path / f"scripts{len(list(tmp_path.iterdir()))}"
        shutil.copytree(ROOT / "workflow/scripts", copy)
        for name, old, new in edits:
            text = (copy / LIBRARY / name).read_text()
            assert old in text, f"{name} does not hold {old!r}"
            (copy / LIBRARY / name).write_text(text.replace(old, new, 1))
        monkeypatch.setattr(digests, "LIBRARY", copy / LIBRARY)
        # images that were predicted are left as they are
        scripts = [path for path in copy.glob("*.py") if path.stem != "predict"]
        return {path.stem: digests.code_digest(path) for path in scripts}

    return digests_of


def rerun(digests_after, *edits) -> set[str]:
    before, after = digests_after(), digests_after(*edits)
    changed = {script for script in before if before[script] != after[script]}
    # a screening trains the beginnings of trainings, so what changes these changes it
    assert "train_run" not in changed or "screen_run" in changed
    return changed - {"screen_run"}


MEANT = {
    "the order of training images": (
        ("engine/sampling.py", "SHUFFLE, AUGMENT, RARE = 1, 2, 3",
         "SHUFFLE, AUGMENT, RARE = 1, 4, 3"),
        {"train_run"},
    ),
    "what a step of the training does": (
        ("engine/trainer.py", "scheduler.step()", "scheduler.step(1)"), {"train_run"}
    ),
    "how pixels are counted": (
        ("scores/metrics.py", "table[ignore_index] = 0", "table[0] = 0"),
        # a score stands above each picture
        {"train_run", "evaluate_run", "score_predictions", "check_model", "compare_figures"},
    ),
    "what the IoU is, by which a checkpoint is chosen": (
        ("scores/metrics.py", "truth + predicted - hits", "truth + predicted - 2 * hits"),
        {
            "train_run", "evaluate_run", "score_predictions", "compare_tables", "compare_figures",
            "compare_page",
        },
    ),
    "how frames are read, which a registry finds by name": (
        ("engine/dataset.py", "return ", "return not "),
        {"train_run", "evaluate_run", "check_model"}
    ),
    "when training data is refused": (
        ("zoo/families.py", '"DDRNet": 8', '"DDRNet": 16'), {"render_config"}
    ),
    "how polygons are painted": (
        ("datasets/polygons.py", "FLOAT32 = 2**24", "FLOAT32 = 2**20"), {"prepare_dataset"}
    ),
    "the drawn scenes": (
        ("demo/render.py", "OVERSAMPLING = 2", "OVERSAMPLING = 3"), {"obtain_dataset"}
    ),
    "the number of bootstrap draws": (
        ("scores/bootstrap.py", "RESAMPLES = 2000", "RESAMPLES = 100"),
        {"compare_tables", "compare_figures", "compare_page"},
    ),
    "a metric that is only shown": (
        ("scores/metrics.py", "present=predicted > 0)", "present=predicted > 1)"),
        {"compare_tables", "compare_figures"},
    ),
    "the look of a figure": (("report/figures.py", "height=0.62", "height=0.6"),
        {"compare_figures"}),
    "which kind of error is raised": (
        ("engine/checkpoints/load.py", "raise ModelError(f\"{path}: holds no weights\")",
         "raise ValueError()"),
        {"train_run", "check_model", "take_checkpoint", "evaluate_run"},
    ),
}  # fmt: skip
# scripts whose rule carries no digest, or where a further one is right as well
LOOSE = {"check_model", "take_checkpoint", "evaluate_run", "measure_cost"}


@pytest.mark.parametrize(("edit", "scripts"), MEANT.values(), ids=MEANT)
def test_a_change_of_what_is_done_reruns_exactly_what_does_it(digests_after, edit, scripts):
    assert rerun(digests_after, edit) - LOOSE == scripts - LOOSE


@pytest.mark.parametrize("name", ["how frames are read, which a registry finds by name",
                                  "how pixels are counted"])  # fmt: skip
def test_what_evaluation_does_evaluates_again(digests_after, name):
    assert "evaluate_run" in rerun(digests_after, MEANT[name][0])


SAID = {
    "a comment": ("engine/sampling.py", "# MMSegmentation's", "# mmseg's"),
    "a docstring": ("engine/sampling.py", '"""Which image is seen when', '"""What is seen when'),
    "a progress bar": ("system/progress.py", "BAR_WIDTH = 20", "BAR_WIDTH = 30"),
    "what is noted beside the weights": ("engine/record.py", "/ 2**20", "/ 1e6"),
    "a line of the log": ("engine/trainer.py", "%s: done in %s, best", "%s: finished in %s, best"),
    "the text of an error": ("engine/checkpoints/load.py", "holds no weights", "has no weights"),
    "a message of the config check": ("config/schema.py", '"must be text"', '"must be a text"'),
    "the description of a key": (
        "config/training.py", "height and width of the training crop", "size of the crop"
    ),
    "a note on what was adapted": (
        "recipe/model.py", "every weight starts random", "all is random"
    ),
    "a further metric": (
        "scores/metrics.py", "def mean_iou(",
        "def dice(counts):\n    return counts\n\n\ndef mean_iou("
    ),
    "a further key of the config": (
        "config/training.py", "    early_stopping: Iterations | None",
        '    further: Iterations | None = Field(default=None, description="x")\n'
        "    early_stopping: Iterations | None",
    ),
    "an annotation": ("engine/trainer.py", "-> float:", '-> "float":'),
    "the words of the command line": ("__main__.py", "list the published models", "list models"),
}  # fmt: skip


@pytest.mark.parametrize("edit", SAID.values(), ids=SAID)
def test_a_change_of_what_is_said_reruns_nothing(digests_after, edit):
    assert rerun(digests_after, edit) == set()


def test_renaming_a_module_leaves_digests_alone(tmp_path, monkeypatch, digests_after):
    before = digests_after()
    copy = tmp_path / "moved"
    shutil.copytree(ROOT / "workflow/scripts", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / LIBRARY / "scoring").mkdir()
    (copy / LIBRARY / "scoring/__init__.py").write_text('"""Scores."""\n')
    (copy / LIBRARY / "scores/metrics.py").rename(copy / LIBRARY / "scoring/tally.py")
    for path in copy.rglob("*.py"):
        text = path.read_text().replace("segbench.scores.metrics", "segbench.scoring.tally")
        text = text.replace(
            "from segbench.scores import claims, metrics",
            "from segbench.scores import claims\nfrom segbench.scoring import tally",
        ).replace("from segbench.scores import metrics", "from segbench.scoring import tally")
        if "from segbench.scoring import tally" in text:
            text = re.sub(r"\bmetrics\.(?!json)", "tally.", text)
        path.write_text(text)
    monkeypatch.setattr(digests, "LIBRARY", copy / LIBRARY)
    moved = {"train_run", "compare_tables"}
    after = {name: digests.code_digest(copy / f"{name}.py") for name in moved}
    assert after == {name: before[name] for name in moved}
