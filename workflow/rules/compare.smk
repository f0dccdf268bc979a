# From the runs' confusion matrices to tables, figures and the report. No network is needed.

# the user's table of parts of the images, by name of the frame; a list of one, or of none
OWN_PARTS = [f"{RESULTS}/check/slices.csv"] if EXPERIMENT.slices else []


rule place_slices:
    """Find the frame for each row of the user's table of parts of the images."""
    input:
        table=lambda w: located(EXPERIMENT.slices, FOLDERS),
        frames=f"{PREPARED}/frames.csv",
    output:
        table=f"{RESULTS}/check/slices.csv",
    log:
        logs("place_slices"),
    benchmark:
        benchmarks("place_slices")
    # before any training, so that what is wrong is said early
    priority: 30
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("place_slices.py"),
        scored=TARGET.splits.names[-1],
    script:
        "../scripts/place_slices.py"


# what a prediction of each model costs
COSTS = [
    f"{RESULTS}/runs/{model}/cost.json"
    for model in dict.fromkeys(run.model for run in OWN_RUNS)
]
# only where there is something in them
MORE_TABLES = {
    name: f"{RESULTS}/tables/{name}.csv"
    for name, content in (("levels", TARGET.coarser), ("conditions", CONDITIONS))
    if content
}


rule compare_tables:
    """Write the tables of the comparison and the report's first page."""
    input:
        manifest=f"{PREPARED}/manifest.json",
        frames=f"{PREPARED}/frames.csv",
        check=f"{PREPARED}/check.json",
        confusion=of_all_runs("confusion.npz"),
        metrics=of_all_runs("metrics.json"),
        records=of_all_runs("train.json"),
        costs=COSTS,
        own_parts=OWN_PARTS,
        conditions=of_all_runs("conditions.npz", OWN_RUNS) if CONDITIONS else [],
        screening=f"{RESULTS}/{DECISION}" if SCREENED else [],
    output:
        multiext(f"{RESULTS}/tables/models", ".csv", ".md", ".tex"),
        multiext(f"{RESULTS}/tables/per_class", ".csv", ".md", ".tex"),
        **MORE_TABLES,
        readme=f"{RESULTS}/README.md",
        runs=f"{RESULTS}/tables/runs.csv",
        pairwise=f"{RESULTS}/tables/pairwise.csv",
        slices=f"{RESULTS}/tables/slices.csv",
        methods=f"{RESULTS}/tables/methods.md",
        references=f"{RESULTS}/tables/references.bib",
        record=f"{RESULTS}/tables/comparison.json",
        summary=report(
            f"{RESULTS}/tables/summary.rst",
            category="Comparison",
            caption="../report/summary.rst",
            labels={"shows": "verdict and protocol", "as": "text"},
        ),
        models_page=report(
            f"{RESULTS}/tables/models.html",
            category="Comparison",
            caption="../report/models.rst",
            labels={"shows": "models", "as": "table"},
        ),
        classes_page=report(
            f"{RESULTS}/tables/per_class.html",
            category="Comparison",
            caption="../report/per_class.rst",
            labels={"shows": "IoU per class", "as": "table"},
        ),
    log:
        logs("compare_tables"),
    benchmark:
        benchmarks("compare_tables")
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("compare_tables.py"),
        runs=[(r.model, r.initialization, r.seed, r.fold) for r in RUNS],
        experiment=EXPERIMENT.experiment,
        unfinished=UNFINISHED,
        configs={name: model.config for name, model in EXPERIMENT.models.items()},
        citation=TARGET.about.citation or "",
        classes=what_is_shown(TARGET),
        levels=what_is_grouped(TARGET),
        came_from=JOBS.of_drawing(TARGET),
    script:
        "../scripts/compare_tables.py"


# drawn only where there is something to compare, or models start from more than one point
MORE_FIGURES = [("slices", "Comparison", "mean IoU on parts of the images", "heat map")]
if CONDITIONS:
    MORE_FIGURES += [
        ("conditions", "Comparison", "when the images get worse", "curves"),
    ]
if len({(run.model, run.initialization) for run in RUNS}) > 1:
    MORE_FIGURES += [
        ("ranks", "Comparison", "how sure the ranking is", "ranks"),
        ("budget", "Training", "half and whole training", "slopes"),
    ]
if len({run.initialization for run in OWN_RUNS}) > 1:
    MORE_FIGURES += [
        ("initializations", "Starting points", "mean IoU by starting point", "slopes"),
        ("gains", "Starting points", "gain per class", "heat map"),
    ]


rule compare_figures:
    """Draw the figures of the comparison."""
    input:
        manifest=f"{PREPARED}/manifest.json",
        frames=f"{PREPARED}/frames.csv",
        confusion=of_all_runs("confusion.npz"),
        predictions=of_all_runs("predictions.npz"),
        metrics=of_all_runs("metrics.json"),
        records=of_all_runs("train.json"),
        costs=COSTS,
        own_parts=OWN_PARTS,
        conditions=of_all_runs("conditions.npz", OWN_RUNS) if CONDITIONS else [],
        histories=of_all_runs("history.csv"),
    output:
        multiext(f"{RESULTS}/figures/", "models.png", "per_class.png", "training.png"),
        [
            report(
                f"{RESULTS}/figures/{name}.svg",
                category=category,
                caption=f"../report/{name}.rst",
                labels={"shows": shows, "as": kind},
            )
            for name, category, shows, kind in MORE_FIGURES
        ],
        models=report(
            f"{RESULTS}/figures/models.svg",
            category="Comparison",
            caption="../report/models.rst",
            labels={"shows": "models", "as": "bar chart"},
        ),
        classes=report(
            f"{RESULTS}/figures/per_class.svg",
            category="Comparison",
            caption="../report/per_class.rst",
            labels={"shows": "IoU per class", "as": "heat map"},
        ),
        training=report(
            f"{RESULTS}/figures/training.svg",
            category="Training",
            caption="../report/training.rst",
            labels={"shows": "loss and validation", "as": "curves"},
        ),
        gallery=report(
            f"{RESULTS}/gallery/predictions.png",
            category="Images",
            caption="../report/gallery.rst",
            labels={"shows": "predictions", "as": "pictures"},
        ),
    log:
        logs("compare_figures"),
    benchmark:
        benchmarks("compare_figures")
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("compare_figures.py"),
        runs=[(r.model, r.initialization, r.seed, r.fold) for r in RUNS],
        classes=what_is_shown(TARGET),
        gallery_images=EXPERIMENT.gallery_images,
        came_from=JOBS.of_figures,
    script:
        "../scripts/compare_figures.py"


PAGE = SCRIPTS.parent / "report/page"


rule compare_page:
    """Write the interactive page: from the verdict to a class to its images."""
    input:
        manifest=f"{PREPARED}/manifest.json",
        frames=f"{PREPARED}/frames.csv",
        confusion=of_all_runs("confusion.npz"),
        predictions=of_all_runs("predictions.npz"),
        metrics=of_all_runs("metrics.json"),
        records=of_all_runs("train.json"),
        costs=COSTS,
        own_parts=OWN_PARTS,
        conditions=of_all_runs("conditions.npz", OWN_RUNS) if CONDITIONS else [],
        histories=of_all_runs("history.csv"),
        screening=f"{RESULTS}/{DECISION}" if SCREENED else [],
        figures=[
            f"{RESULTS}/figures/{name}.svg"
            for name in [
                "models",
                "training",
                "per_class",
                *[name for name, *_ in MORE_FIGURES],
                *(["screening"] if SCREENED else []),
            ]
        ],
    output:
        page=report(
            f"{RESULTS}/index.html",
            category="Comparison",
            caption="../report/page.rst",
            labels={"shows": "classes and their images", "as": "interactive page"},
        ),
    log:
        logs("compare_page"),
    benchmark:
        benchmarks("compare_page")
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("compare_page.py"),
        runs=[(r.model, r.initialization, r.seed, r.fold) for r in RUNS],
        experiment=EXPERIMENT.experiment,
        unfinished=UNFINISHED,
        classes=what_is_shown(TARGET),
        levels=what_is_grouped(TARGET),
        titles={
            "models": "mean IoU",
            "training": "loss and validation",
            "per_class": "IoU per class",
            **{name: shows for name, _, shows, _ in MORE_FIGURES},
            "screening": "who went on after the screening",
        },
        # the script finds these files by itself; here they are a reason to write the page again
        template=[sha256_of(path)[:16] for path in sorted(PAGE.iterdir())],
        came_from=JOBS.of_drawing(TARGET),
    script:
        "../scripts/compare_page.py"
