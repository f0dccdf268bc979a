# From a trained run to its confusion matrices, from which every score derives.
from segbench.config.evaluation import SCORED_SIZES

SCORED_SIZE = SCORED_SIZES[EXPERIMENT.evaluation.protocol]
CONDITIONS = EXPERIMENT.evaluation.conditions.by_severity()
UNDER_CONDITIONS = {"conditions": of_run("conditions.npz")} if CONDITIONS else {}


rule evaluate_run:
    """Evaluate the best checkpoint of a run, and store its counts."""
    input:
        manifest=f"{PREPARED}/manifest.json",
        config=of_run("config.py"),
        checkpoint=of_run("best.pth"),
    output:
        **UNDER_CONDITIONS,
        confusion=of_run("confusion.npz"),
        metrics=of_run("metrics.json"),
        predictions=of_run("predictions.npz"),
    log:
        logs("evaluate_run", OF_RUN),
    benchmark:
        benchmarks("evaluate_run", OF_RUN)
    wildcard_constraints:
        initialization="(?!external)[a-z_]+",
    conda:
        "../../envs/segbench.yaml"
    threads: 8
    resources:
        gpu=1,
    params:
        code=code("evaluate_run.py"),
        size=SCORED_SIZE,
        conditions=CONDITIONS,
        came_from=JOBS.of_evaluation,
    script:
        "../scripts/evaluate_run.py"


# All cores, so that no other job of this machine disturbs the clock.
rule measure_cost:
    """Measure what a prediction of a model costs, while no other job runs."""
    input:
        manifest=f"{PREPARED}/manifest.json",
        model_check=lambda w: checked_model(timed_run(w)),
        config=lambda w: f"{RESULTS}/runs/{timed_run(w).path}/config.py",
    output:
        cost=f"{RESULTS}/runs/{{model}}/cost.json",
    log:
        logs("measure_cost", f"{EXPERIMENT.experiment}/{{model}}"),
    benchmark:
        benchmarks("measure_cost", f"{EXPERIMENT.experiment}/{{model}}")
    conda:
        "../../envs/segbench.yaml"
    threads: workflow.resource_settings.cores or 8
    resources:
        gpu=1,
    params:
        code=code("measure_cost.py"),
        came_from=JOBS.of_cost,
    script:
        "../scripts/measure_cost.py"


rule score_predictions:
    """Score predictions that another tool made, and store their counts."""
    input:
        manifest=f"{PREPARED}/manifest.json",
        check=f"{PREPARED}/check.json",
    output:
        confusion=of_run("confusion.npz", "external"),
        metrics=of_run("metrics.json", "external"),
        predictions=of_run("predictions.npz", "external"),
        history=of_run("history.csv", "external"),
        record=of_run("train.json", "external"),
    log:
        logs("score_predictions", OF_CHECKPOINT),
    benchmark:
        benchmarks("score_predictions", OF_CHECKPOINT)
    # before any training, so that what is wrong is said early
    priority: 30
    conda:
        "../../envs/segbench.yaml"
    threads: 8
    params:
        folder=lambda w: outside_run_of(w).folder,
        outside=lambda w: outside_run_of(w).words,
        names=lambda w: f"{PREPARED}/splits/{outside_run_of(w).names_file(TARGET)}",
        classes=what_is_shown(TARGET),
        max_pixels=TARGET.max_image_pixels,
        size=SCORED_SIZE,
        came_from=lambda w: OUTSIDE_ORIGINS[outside_run_of(w).key.path],
    script:
        "../scripts/score_predictions.py"
