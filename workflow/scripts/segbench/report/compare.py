"""Compare finished runs: write every table, figure and the report's first page.

Works on what evaluation and training stored; needs no network, no GPU and no torch.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from segbench.report import (
    claims,
    columns,
    conditions,
    csv_tables,
    figures,
    gains,
    gallery,
    levels,
    methods,
    plotting,
    results,
    slices,
    summary,
    tables,
)
from segbench.report.columns import BUSY_MARK, EQUAL_MARK, RISING_MARK
from segbench.report.comparison import Comparison
from segbench.report.record import NAME, ComparedRun, ComparisonRecord
from segbench.report.results import Candidate, intervals_cover

LOG = logging.getLogger(__name__)


def write_tables(compared: Comparison, folder: Path) -> None:
    """Write tables, their record and the first page into a folder, and `README.md` beside it."""
    candidates, manifest = compared.candidates, compared.manifest
    under = compared.under_conditions
    names = dict(zip(compared.prepared.class_names, manifest.class_names, strict=True))
    models = csv_tables.models_table(candidates, names)
    per_class = csv_tables.per_class_table(candidates, manifest.class_names)
    for name, table in {
        "models": models,
        "per_class": per_class,
        "runs": csv_tables.runs_table(candidates),
        "pairwise": csv_tables.pairwise_table(candidates),
        "slices": slices.slices_table(compared.by_part),
        **({"levels": levels.levels_table(compared.at_levels)} if compared.levels else {}),
        **({"conditions": conditions.conditions_table(under)} if under else {}),
    }.items():
        table.to_csv(folder / f"{name}.csv", index=False)

    protocol = _protocol(candidates, manifest.name)
    if compared.unfinished:
        protocol += f" Incomplete: without {', '.join(compared.unfinished)}."
    readable = columns.readable_models(models)
    tables.write_readable(
        readable,
        folder / "models",
        "Models",
        f"{_note(candidates)} {protocol}",
        columns.best_models(models, readable),
    )
    by_class = columns.readable_classes(candidates, per_class)
    tables.write_readable(
        by_class,
        folder / "per_class",
        "IoU per class, %",
        f"Mean over the {candidates[0].repeated_over}; {tables.NOT_THERE} marks a class that is "
        f"absent from the {candidates[0].scored_images}. {protocol}",
        columns.best_classes(by_class),
    )
    pages = {
        folder / "summary.rst": summary.landing_page(compared, models),
        folder.parent / "README.md": summary.markdown_page(compared, models),
        folder / "methods.md": methods.methods_page(candidates, manifest, compared.configs),
        folder / "references.bib": methods.bibliography(compared.configs, compared.citation),
    }
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    _record(compared).write(folder / NAME)
    LOG.info(summary.verdict(candidates, manifest.name).replace("**", "").replace("\\", ""))


def _record(compared: Comparison) -> ComparisonRecord:
    """What the comparison was made of."""
    runs = [run for candidate in compared.candidates for run in candidate.runs]
    return ComparisonRecord(
        experiment=compared.experiment,
        dataset=compared.prepared.name,
        content_sha256=compared.prepared.content_sha256,
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
        classes=tuple((name, tuple(color)) for name, color in compared.classes),
        own_parts=compared.own_parts is not None,
        under_conditions=bool(compared.under_conditions),
        screened=bool(compared.screening),
        levels=tuple(compared.levels),
        unfinished=tuple(compared.unfinished),
        configs=dict(compared.configs),
        citation=compared.citation,
    )


def write_figures(
    compared: Comparison, folder: Path, gallery_path: Path, dataset: Path, gallery_images: int
) -> None:
    """Write every figure as SVG and PNG, and the gallery as PNG.

    Args:
        compared: the runs.
        folder: where to write the figures.
        gallery_path: where to write the gallery.
        dataset: folder of the prepared dataset, with its images.
        gallery_images: how many images the gallery shows.
    """
    candidates, manifest = compared.candidates, compared.manifest
    # one after the other, because those of many models take much memory
    for stem, draw in _figures(compared).items():
        plotting.save(draw(), folder / f"{stem}.svg")
    gallery.draw_gallery(
        gallery_path, candidates, dataset, manifest, f"{manifest.name}: {manifest.scored_images}",
        gallery_images,
    )  # fmt: skip


def _figures(compared: Comparison) -> dict[str, Callable[[], Figure]]:
    """What draws each figure of a comparison, by its name."""
    candidates, name = compared.candidates, compared.manifest.name
    per_class = csv_tables.per_class_table(candidates, compared.manifest.class_names)
    drawn: dict[str, Callable[[], Figure]] = {
        "models": lambda: figures.plot_models(
            candidates, f"{name}: mean IoU on {_images(candidates[0])}"
        ),
        "per_class": lambda: figures.plot_per_class(
            candidates, per_class, f"{name}: IoU per class, %"
        ),
        "training": lambda: figures.plot_training(candidates, f"{name}: how the models learnt"),
        "slices": lambda: slices.plot_slices(
            compared.by_part, candidates, f"{name}: mean IoU on parts, %"
        ),
    }
    if compared.under_conditions:
        drawn["conditions"] = lambda: conditions.plot_conditions(
            compared.under_conditions, candidates, f"{name}: when the images get worse"
        )
    if len(candidates) > 1:
        drawn["ranks"] = lambda: claims.plot_ranks(candidates, f"{name}: how sure the ranking is")
        drawn["budget"] = lambda: claims.plot_budget(
            candidates, f"{name}: would a longer training differ?"
        )
    if len(gains.initializations(candidates)) > 1:
        drawn["initializations"] = lambda: gains.plot_slopes(
            candidates, f"{name}: what the starting point is worth"
        )
        drawn["gains"] = lambda: gains.plot_gains(candidates, per_class, f"{name}: gain per class")
    return drawn


def _protocol(candidates: Sequence[Candidate], dataset: str) -> str:
    """What the numbers rest on, in a sentence."""
    runs = [run for one in candidates if not one.is_external for run in one.runs]
    outside = [one.model for one in candidates if one.is_external]
    iterations = sorted({run.record.iterations for run in runs} - {0})
    crops = sorted({run.record.crop_in_words() for run in runs})
    batches = sorted({run.record.batch_size or 0 for run in runs})
    seeds = sorted({run.seed for run in runs})
    predicted = f" {_listed(outside)}: predicted outside this workflow." if outside else ""
    return (
        f"Protocol: {dataset}, {runs[0].scores.protocol} ({_images(candidates[0])}); "
        f"{_listed(iterations)} iterations, batch {_listed(batches)}, crop {_listed(crops)}; "
        f"seeds {_listed(seeds)}; {_listed(results.training_devices(candidates))}."
        f"{predicted}"
    )


def _note(candidates: Sequence[Candidate]) -> str:
    """How to read the table of models."""
    over = candidates[0].repeated_over
    return (
        f"Mean IoU over the classes present in the {candidates[0].scored_images}, mean over the "
        f"{over}. "
        f"The 95 % interval is over {intervals_cover(candidates)}; ± is the standard deviation "
        f"over {over}. Ranks are 95 % intervals over the same; {EQUAL_MARK.strip()} marks a model "
        "that these data do not tell from the best (Holm's correction over all pairs, 5 %), "
        f"{RISING_MARK.strip()} one whose best validation was its last. "
        f"ms/image is the median of single predictions, images/s that of the best batch, measured "
        f"while no other job of the workflow ran; {BUSY_MARK} marks a machine that did other work "
        "meanwhile."
    )


def _images(candidate: Candidate) -> str:
    folds = len({run.images_of for run in candidate.runs})
    return f"{candidate.images} images" + f" in {folds} folds" * (folds > 1)


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))
