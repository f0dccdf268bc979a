# From a zoo config to a trained run.


rule render_config:
    input:
        manifest=of_dataset("manifest.json"),
    output:
        f"{RESULTS}/runs/{{model}}/{{initialization}}/seed{{seed}}/config.py",
    log:
        f"results/logs/render_config/{EXPERIMENT.experiment}/{{model}}_{{initialization}}_{{seed}}.log",
    benchmark:
        f"results/benchmarks/render_config/{EXPERIMENT.experiment}/{{model}}_{{initialization}}_{{seed}}.jsonl"
    priority: 30
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("render_config.py"),
        run="{model}/{initialization}/seed{seed}",
        zoo_config=lambda w: EXPERIMENT.models[w.model].config,
        zoo_digest=lambda w: config_digest(EXPERIMENT.models[w.model].config),
        published_batch=lambda w: published_batch(EXPERIMENT.models[w.model].config),
        settings=lambda w: STARTS.settings(run_of(w)),
        came_from=lambda w: origin_of_config(run_of(w)),
    script:
        "../scripts/render_config.py"


# A check belongs to the data and the config, and is repeated when these change. It carries no digest
# of code, because a training would be repeated with it.
rule check_model:
    input:
        manifest=of_dataset("manifest.json"),
        config=checked_config,
        weights=known_weights,
    output:
        f"{RESULTS}/check/{{model}}/{{initialization}}.json",
    log:
        f"results/logs/check_model/{EXPERIMENT.experiment}/{{model}}_{{initialization}}.log",
    benchmark:
        f"results/benchmarks/check_model/{EXPERIMENT.experiment}/{{model}}_{{initialization}}.jsonl"
    # before any training; `ancient` inputs would order them too, but Snakemake then overlooks a
    # training that has a reason of its own in the same run
    priority: 20
    conda:
        "../../envs/segbench.yaml"
    script:
        "../scripts/check_model.py"


rule pass_checks:
    input:
        [f"results/datasets/{name}/check.json" for name in DATASETS],
        of_all_models(f"{RESULTS}/check/{{model}}/{{initialization}}.json"),
    output:
        touch(f"{RESULTS}/check/passed"),
    log:
        f"results/logs/pass_checks/{EXPERIMENT.experiment}.log",
    benchmark:
        f"results/benchmarks/pass_checks/{EXPERIMENT.experiment}.jsonl"
    conda:
        "../../envs/segbench.yaml"
    shell:
        "echo 'dataset and models passed their checks' > {log}"


rule train_run:
    input:
        data_check=of_dataset("check.json"),
        model_check=f"{RESULTS}/check/{{model}}/{{initialization}}.json",
        manifest=of_dataset("manifest.json"),
        config=f"{RESULTS}/runs/{{model}}/{{initialization}}/seed{{seed}}/config.py",
        weights=initial_weights,
    output:
        checkpoint=f"{RESULTS}/runs/{{model}}/{{initialization}}/seed{{seed}}/best.pth",
        history=f"{RESULTS}/runs/{{model}}/{{initialization}}/seed{{seed}}/history.csv",
        record=f"{RESULTS}/runs/{{model}}/{{initialization}}/seed{{seed}}/train.json",
    log:
        f"results/logs/train_run/{EXPERIMENT.experiment}/{{model}}_{{initialization}}_{{seed}}.log",
    benchmark:
        f"results/benchmarks/train_run/{EXPERIMENT.experiment}/{{model}}_{{initialization}}_{{seed}}.jsonl"
    wildcard_constraints:
        initialization="(?!zero_shot)[a-z_]+",
    conda:
        "../../envs/segbench.yaml"
    threads: 8
    resources:
        gpu=1,
    params:
        code=code("train_run.py"),
        work=WORK,
        came_from=lambda w: origin_of_training(run_of(w)),
    script:
        "../scripts/train_run.py"


# what `zero_shot` is: the source checkpoint as it is
rule take_checkpoint:
    input:
        model_check=f"{RESULTS}/check/{{model}}/zero_shot.json",
        config=f"{RESULTS}/runs/{{model}}/zero_shot/seed{{seed}}/config.py",
        weights=lambda w: STARTS.inputs(RunKey.of(w.model, "zero_shot", w.seed)),
    output:
        checkpoint=f"{RESULTS}/runs/{{model}}/zero_shot/seed{{seed}}/best.pth",
        history=f"{RESULTS}/runs/{{model}}/zero_shot/seed{{seed}}/history.csv",
        record=f"{RESULTS}/runs/{{model}}/zero_shot/seed{{seed}}/train.json",
    log:
        f"results/logs/take_checkpoint/{EXPERIMENT.experiment}/{{model}}_{{seed}}.log",
    benchmark:
        f"results/benchmarks/take_checkpoint/{EXPERIMENT.experiment}/{{model}}_{{seed}}.jsonl"
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("take_checkpoint.py"),
        came_from=lambda w: origin_of_training(RunKey.of(w.model, "zero_shot", w.seed)),
    script:
        "../scripts/take_checkpoint.py"
