# From a trained run to its confusion matrices, from which every score derives.


rule evaluate_run:
    input:
        manifest=f"{PREPARED}/manifest.json",
        config=f"{RESULTS}/runs/{{model}}/{{initialization}}/seed{{seed}}/config.py",
        checkpoint=f"{RESULTS}/runs/{{model}}/{{initialization}}/seed{{seed}}/best.pth",
    output:
        confusion=f"{RESULTS}/runs/{{model}}/{{initialization}}/seed{{seed}}/confusion.npz",
        metrics=f"{RESULTS}/runs/{{model}}/{{initialization}}/seed{{seed}}/metrics.json",
        predictions=f"{RESULTS}/runs/{{model}}/{{initialization}}/seed{{seed}}/predictions.npz",
    log:
        f"results/logs/evaluate_run/{EXPERIMENT.experiment}/{{model}}_{{initialization}}_{{seed}}.log",
    benchmark:
        f"results/benchmarks/evaluate_run/{EXPERIMENT.experiment}/{{model}}_{{initialization}}_{{seed}}.jsonl"
    conda:
        "../../envs/segbench.yaml"
    threads: 8
    resources:
        gpu=1,
    params:
        code=code("evaluate_run.py"),
        gallery_images=EXPERIMENT.gallery_images,
        came_from=origin_of_evaluation(),
    script:
        "../scripts/evaluate_run.py"
