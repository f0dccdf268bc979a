"""The comparison as one interactive page: from the verdict to a class to its images.

The page is a single file that needs no network: style, script, figures and images are in it. Needs
NumPy, pandas and Jinja, never torch.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader

from segbench.report import csv_tables, page_pictures
from segbench.report.comparison import Comparison
from segbench.report.page_pictures import plain
from segbench.report.results import Candidate
from segbench.report.summary import facts, findings
from segbench.scores import metrics
from segbench.scores.bootstrap import Interval, bootstrap_class_iou

BUDGET = 50_000_000  # bytes of the page
ROOM = 4_000_000  # of these for everything that is no image
BOLD, ESCAPED = re.compile(r"(?<!\\)\*\*"), re.compile(r"\\(.)")  # of the markup of sentences
EXPERIMENT_OF_REPORT = '{{ snakemake.config["experiment"] }}'  # in captions
CONFUSED = 3  # classes that a class is most often taken for
# what a model costs: key in `models.csv`, header, factor, digits; the first table has the first few
COST = (
    ("params", "params M", 1e-6, 2),
    ("flops", "GFLOPs", 1e-9, 2),
    ("latency_ms", "ms/image", 1, 1),
    ("train_minutes", "training min", 1, 1),
    ("images_per_second", "images/s", 1, 1),
    ("latency_p95_ms", "ms/image, 95 %", 1, 1),
    ("images_at_once", "batch of images/s", 1, 0),
    ("inference_memory_mb", "GB in use", 1 / 1024, 2),
    ("peak_memory_mb", "GB in training", 1 / 1024, 2),
    ("checkpoint_mb", "checkpoint MB", 1, 1),
    ("validation_share", "validation, % of training", 100, 0),
)
FIRST_COSTS = 4


def write_page(
    compared: Comparison,
    path: Path,
    dataset: Path,
    template: Path,
    figures: Sequence[tuple[Path, str, str]],
    budget: int = BUDGET,
) -> None:
    """Write the page.

    Args:
        compared: the runs.
        path: of the page.
        dataset: folder of the prepared dataset, with its images.
        template: folder of `page.html`, `page.css` and `page.js`.
        figures: SVG file, title and caption of each figure that is shown below.
        budget: bytes that the page may have.
    """
    models = csv_tables.models_table(compared.candidates)
    data = _data(compared, models, dataset, budget - ROOM)
    script = (template / "page.js").read_text(encoding="utf-8")
    environment = Environment(loader=FileSystemLoader(template), autoescape=True)
    page = environment.get_template("page.html").render(
        experiment=compared.experiment,
        findings=[_marked(one) for one in findings(compared, models) if one],
        facts=facts(compared.candidates, compared.manifest),
        warnings=compared.warnings,
        figures=[
            (_svg(file), title, _plain(caption, compared.experiment))
            for file, title, caption in figures
        ],
        rule=page_pictures.RULE,
        style=(template / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        # a name of a class cannot end the element that holds the data
        data=json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
    )
    path.write_text(page, encoding="utf-8")


def _data(compared: Comparison, models: pd.DataFrame, dataset: Path, budget: int) -> dict[str, Any]:
    """All that the script of the page needs to know."""
    candidates, manifest = compared.candidates, compared.manifest
    picked = page_pictures.pick(candidates)
    rows = picked.rows
    split = manifest.scored_split
    pictures = page_pictures.packed(candidates, dataset, split, rows, budget)
    shown = {row: place for place, row in enumerate(rows[: len(pictures)])}
    best = [candidate.best_run for candidate in candidates]
    by_image = [plain(metrics.mean_iou(run.confusion)) for run in best]
    return {
        "models": _models(candidates, models),
        "costs": [{"key": key, "header": header} for key, header, *_ in COST],
        "first_costs": FIRST_COSTS,
        "classes": [{"name": one.name, "color": list(one.color)} for one in manifest.classes],
        "iou": [_class_scores(candidate) for candidate in candidates],
        "confused": [_confused(candidate, len(manifest.classes)) for candidate in candidates],
        "images": [
            {"name": name, "miou": [one[row] for one in by_image], "picture": shown.get(row)}
            for row, name in enumerate(best[0].names)
        ],
        "pictures": pictures,
        "picked": [
            {why: [shown[row] for row in found if row in shown] for why, found in one.items()}
            for one in picked.by_class
        ],
        "disputed": [shown[row] for row in picked.disputed if row in shown],
        "scored": manifest.scored_images,
        "edge": metrics.EDGE,
    }


def _models(candidates: Sequence[Candidate], table: pd.DataFrame) -> list[dict[str, Any]]:
    cheapest = _cheapest(table)
    return [
        {
            "label": candidate.label,
            "miou": candidate.miou,
            "low": candidate.interval.low,
            "high": candidate.interval.high,
            "dots": candidate.mious,
            "rank": [row["rank_low"], row["rank_high"]],
            "equal": bool(row["as_good_as_best"]),
            "rising": bool(row["still_rising"]),
            "cheapest": number == cheapest,
            "boundary": _number(row["boundary_miou"], 100, 1),
            "cost": [_number(row[key], factor, digits) for key, _, factor, digits in COST],
        }
        for number, (candidate, row) in enumerate(
            zip(candidates, table.to_dict("records"), strict=True)
        )
    ]


def _cheapest(table: pd.DataFrame) -> int | None:
    """The fastest of the models that the data do not tell from the best, if any was timed."""
    times = table["latency_ms"].where(table["as_good_as_best"].astype(bool)).to_numpy(float)
    return None if np.isnan(times).all() else int(np.nanargmin(times))


def _number(value: Any, factor: float, digits: int) -> float | None:
    number = float("nan") if value is None else float(value)
    return None if np.isnan(number) else round(number * factor, digits)


def _class_scores(candidate: Candidate) -> list[list[float] | None]:
    """IoU of each class, mean over the runs, with its interval; none where it is absent."""
    runs = candidate.runs
    mean = np.mean([metrics.class_iou(run.confusion.sum(0)) for run in runs], axis=0)
    draws = bootstrap_class_iou([(run.images_of, run.confusion, run.groups) for run in runs])
    found = list[list[float] | None]()
    for score, drawn in zip(mean, draws.T, strict=True):
        if np.isnan(score):
            found.append(None)
            continue
        interval = Interval.of(drawn).of_a_score()
        found.append([round(float(x), 4) for x in (score, interval.low, interval.high)])
    return found


def _confused(candidate: Candidate, classes: int) -> list[list[list[float]]]:
    """For each class those that its pixels are most often taken for, with their share."""
    counts = np.sum([run.confusion.sum(0) for run in candidate.runs], axis=0)
    found = []
    for i in range(classes):
        others = counts[i].astype(float) / max(1, counts[i].sum())
        others[i] = 0
        order = np.argsort(-others, kind="stable")[:CONFUSED]
        found.append([[int(j), round(float(others[j]), 4)] for j in order if others[j] > 0])
    return found


def _plain(caption: str, experiment: str) -> str:
    """A caption of Snakemake's report, a template of reStructuredText, as plain text."""
    return caption.replace(EXPERIMENT_OF_REPORT, experiment).replace("``", "")


def _marked(sentence: str) -> list[tuple[str, bool]]:
    """The parts of a sentence, and whether each is in bold."""
    parts = BOLD.split(sentence.removeprefix("* "))
    return [(ESCAPED.sub(r"\1", part), i % 2 == 1) for i, part in enumerate(parts)]


def _svg(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
