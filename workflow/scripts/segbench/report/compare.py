"""Compare finished runs: write every table, figure and the report's first page.

Reads what evaluation and training stored; needs no network, no GPU and no torch.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from segbench.datasets.check import findings_of
from segbench.datasets.manifest import Manifest
from segbench.datasets.meaning import Shown
from segbench.report import (
    claims,
    columns,
    figures,
    gains,
    gallery,
    methods,
    plotting,
    results,
    slices,
    summary,
    tables,
)
from segbench.report.columns import BUSY_MARK, EQUAL_MARK, RISING_MARK
from segbench.report.record import NAME, ComparedRun, ComparisonRecord
from segbench.report.results import Candidate, Run

LOG = logging.getLogger(__name__)


def read_runs(
    keys: Sequence[tuple[str, str, int, int | None]], folders: Sequence[Path], frames_path: Path
) -> list[Candidate]:
    """Read runs and rank them.

    Args:
        keys: model, initialization, seed and fold of each run.
        folders: where each run's files are.
        frames_path: `frames.csv` of the prepared dataset, which has the drive of each frame.
    """
    frames = _frames(frames_path)
    drives = dict(zip(frames["name"], frames["group"], strict=True))
    return results.rank(
        [Run.read(*key, folder, drives) for key, folder in zip(keys, folders, strict=True)]
    )


def _frames(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, dtype={"group": str, "name": str})


def write_tables(
    candidates: Sequence[Candidate],
    manifest_path: Path,
    frames_path: Path,
    folder: Path,
    experiment: str,
    classes: Sequence[Shown],
    unfinished: Sequence[str] = (),
    configs: Mapping[str, str] | None = None,
    citation: str = "",
) -> None:
    """Write tables, their record and the first page into a folder, and `README.md` beside it.

    Args:
        candidates: best first.
        manifest_path: `manifest.json` of the prepared dataset.
        frames_path: its `frames.csv`.
        folder: where to write.
        experiment: its name.
        classes: names and colours of the classes.
        unfinished: names of the runs that are left out.
        configs: config of each model.
        citation: what the description of the dataset asks to cite.
    """
    prepared = Manifest.read(manifest_path)
    manifest = prepared.shown_with(classes)
    names = manifest.class_names
    models = results.models_table(candidates, dict(zip(prepared.class_names, names, strict=True)))
    per_class = results.per_class_table(candidates, names)
    models.to_csv(folder / "models.csv", index=False)
    per_class.to_csv(folder / "per_class.csv", index=False)
    results.runs_table(candidates).to_csv(folder / "runs.csv", index=False)
    results.pairwise_table(candidates).to_csv(folder / "pairwise.csv", index=False)

    protocol = _protocol(candidates, manifest.name)
    if unfinished:
        protocol += f" Incomplete: without {', '.join(unfinished)}."
    tables.write_readable(
        columns.readable_models(models),
        folder / "models",
        "Models",
        f"{_note(candidates)} {protocol}",
    )
    tables.write_readable(
        columns.readable_classes(candidates, per_class),
        folder / "per_class",
        "IoU per class, %",
        f"Mean over the {candidates[0].repeated_over}; {tables.NOT_THERE} marks a class that is "
        f"absent from the {candidates[0].scored_images}. {protocol}",
    )
    warnings = findings_of(manifest, frames_path)
    parts = slices.parts_of(_frames(frames_path), candidates[0].runs[0].names)
    by_part = slices.scores_of_parts(candidates, parts)
    slices.slices_table(by_part).to_csv(folder / "slices.csv", index=False)
    weak = slices.weak_spots(by_part, candidates[0])
    page = summary.landing_page(
        candidates, models, manifest, experiment, warnings, unfinished, weak
    )
    (folder / "summary.rst").write_text(page, encoding="utf-8")
    page = summary.markdown_page(candidates, models, manifest, experiment, unfinished, weak)
    (folder.parent / "README.md").write_text(page, encoding="utf-8")
    page = methods.methods_page(candidates, manifest, configs or {})
    (folder / "methods.md").write_text(page, encoding="utf-8")
    (folder / "references.bib").write_text(
        methods.bibliography(configs or {}, citation), encoding="utf-8"
    )
    record = _record(candidates, prepared, experiment, classes)
    more = {"unfinished": tuple(unfinished), "configs": configs or {}, "citation": citation}
    record.model_copy(update=more).write(folder / NAME)
    LOG.info(summary.verdict(candidates, manifest.name).replace("**", "").replace("\\", ""))


def _record(
    candidates: Sequence[Candidate], prepared: Manifest, experiment: str, classes: Sequence[Shown]
) -> ComparisonRecord:
    """What the comparison was made of."""
    runs = [run for candidate in candidates for run in candidate.runs]
    return ComparisonRecord(
        experiment=experiment,
        dataset=prepared.name,
        content_sha256=prepared.content_sha256,
        runs=tuple(
            ComparedRun(
                model=run.model,
                initialization=run.initialization,
                seed=run.seed,
                fold=run.fold,
                folder="/".join(run.folder.parts[-3:]),
            )
            for run in runs
        ),
        classes=tuple((name, tuple(color)) for name, color in classes),
    )


def write_figures(
    candidates: Sequence[Candidate],
    manifest_path: Path,
    folder: Path,
    gallery_path: Path,
    classes: Sequence[Shown],
    frames_path: Path,
) -> None:
    """Write every figure as SVG and PNG, and the gallery as PNG."""
    manifest = Manifest.read(manifest_path).shown_with(classes)
    name = manifest.name
    per_class = results.per_class_table(candidates, manifest.class_names)
    drawn = {
        "models": figures.plot_models(candidates, f"{name}: mean IoU on {_images(candidates[0])}"),
        "per_class": figures.plot_per_class(candidates, per_class, f"{name}: IoU per class, %"),
        "training": figures.plot_training(candidates, f"{name}: how the models learnt"),
    }
    parts = slices.parts_of(_frames(frames_path), candidates[0].runs[0].names)
    drawn["slices"] = slices.plot_slices(
        slices.scores_of_parts(candidates, parts), candidates, f"{name}: mean IoU on parts, %"
    )
    if len(candidates) > 1:
        drawn["ranks"] = claims.plot_ranks(candidates, f"{name}: how sure the ranking is")
        drawn["budget"] = claims.plot_budget(candidates, f"{name}: would a longer training differ?")
    if len(gains.initializations(candidates)) > 1:
        drawn["initializations"] = gains.plot_slopes(
            candidates, f"{name}: what the starting point is worth"
        )
        drawn["gains"] = gains.plot_gains(candidates, per_class, f"{name}: gain per class")
    for stem, figure in drawn.items():
        plotting.save(figure, folder / f"{stem}.svg")
    picture = gallery.plot_gallery(
        candidates, manifest_path.parent, manifest, f"{name}: {manifest.scored_images}"
    )
    picture.savefig(gallery_path, dpi=110)


def _protocol(candidates: Sequence[Candidate], dataset: str) -> str:
    """What the numbers rest on, in a sentence."""
    runs = [run for candidate in candidates for run in candidate.runs]
    iterations = sorted({run.record.iterations for run in runs} - {0})
    crops = sorted({"x".join(map(str, run.record.crop_size)) for run in runs})
    batches = sorted({run.record.batch_size for run in runs})
    seeds = sorted({run.seed for run in runs})
    return (
        f"Protocol: {dataset}, {runs[0].scores.protocol} ({_images(candidates[0])}); "
        f"{_listed(iterations)} iterations, batch {_listed(batches)}, crop {_listed(crops)}; "
        f"seeds {_listed(seeds)}; {_listed(results.training_devices(candidates))}."
    )


def _note(candidates: Sequence[Candidate]) -> str:
    """How to read the table of models."""
    over = candidates[0].repeated_over
    return (
        f"Mean IoU over the classes present in the {candidates[0].scored_images}, mean over the "
        f"{over}. "
        f"The 95 % interval is over {candidates[0].interval_covers}; ± is the standard deviation "
        f"over {over}. Ranks are 95 % intervals over the same; {EQUAL_MARK.strip()} marks a model "
        "that these data do not tell from the best (Holm's correction over all pairs, 5 %), "
        f"{RISING_MARK.strip()} one whose best validation was its last. "
        f"ms/image is the 10th percentile of single forward passes; {BUSY_MARK} marks "
        "a machine that did other work meanwhile."
    )


def _images(candidate: Candidate) -> str:
    runs = [run for run in candidate.runs if run.seed == candidate.runs[0].seed]
    folds = f" in {len(runs)} folds" if runs[0].fold is not None else ""
    return f"{sum(len(run.confusion) for run in runs)} images{folds}"


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
