# From a trained run to its confusion matrices, from which every score derives.


rule evaluate_run:
    """Evaluate the best checkpoint of a run, and store its counts."""
    input:
        manifest=f"{PREPARED}/manifest.json",
        config=of_run("config.py"),
        checkpoint=of_run("best.pth"),
    output:
        confusion=of_run("confusion.npz"),
        metrics=of_run("metrics.json"),
        predictions=of_run("predictions.npz"),
    log:
        logs("evaluate_run", OF_RUN),
    benchmark:
        benchmarks("evaluate_run", OF_RUN)
    conda:
        "../../envs/segbench.yaml"
    threads: 8
    resources:
        gpu=1,
    params:
        code=code("evaluate_run.py"),
        gallery_images=EXPERIMENT.gallery_images,
        came_from=JOBS.of_evaluation,
    script:
        "../scripts/evaluate_run.py"
