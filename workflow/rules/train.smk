# From a zoo config to a trained run.


rule render_config:
    """Turn a config of the zoo into the config of one run."""
    input:
        manifest=of_dataset("manifest.json"),
    output:
        of_run("config.py"),
    log:
        logs("render_config", OF_RUN),
    benchmark:
        benchmarks("render_config", OF_RUN)
    priority: 30
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("render_config.py"),
        run="{model}/{initialization}/seed{seed}",
        zoo_config=lambda w: EXPERIMENT.models[w.model].config,
        zoo_digest=lambda w: config_digest(EXPERIMENT.models[w.model].config),
        published_batch=lambda w: published_batch(EXPERIMENT.models[w.model].config),
        counts=lambda w: settings_that_count(STARTS, run_of(w)),
        # a function of `output` is no reason to run again
        settings=lambda w, output: settings_of(STARTS, run_of(w)),
        came_from=lambda w: JOBS.of_config(run_of(w)),
    script:
        "../scripts/render_config.py"


# A check belongs to the data and the config, and is repeated when these change. It carries no digest
# of code, because a training would be repeated with it.
rule check_model:
    """Prove that a model can be trained and evaluated on the dataset."""
    input:
        manifest=of_dataset("manifest.json"),
        config=checked_config,
        weights=known_weights,
    output:
        f"{RESULTS}/check/{{model}}/{{initialization}}.json",
    log:
        logs("check_model", OF_MODEL),
    benchmark:
        benchmarks("check_model", OF_MODEL)
    # before any training; `ancient` inputs would order them too, but Snakemake then overlooks a
    # training that has a reason of its own in the same run
    priority: 20
    conda:
        "../../envs/segbench.yaml"
    script:
        "../scripts/check_model.py"


rule pass_checks:
    """Say that the datasets and all models passed their checks."""
    input:
        [f"results/datasets/{name}/check.json" for name in DATASETS],
        of_all_models(f"{RESULTS}/check/{{model}}/{{initialization}}.json"),
    output:
        touch(f"{RESULTS}/check/passed"),
    log:
        logs("pass_checks"),
    benchmark:
        benchmarks("pass_checks")
    conda:
        "../../envs/segbench.yaml"
    shell:
        "echo 'dataset and models passed their checks' > {log}"


rule train_run:
    """Train one run, or go on with it where it was interrupted."""
    input:
        data_check=of_dataset("check.json"),
        model_check=f"{RESULTS}/check/{{model}}/{{initialization}}.json",
        manifest=of_dataset("manifest.json"),
        config=of_run("config.py"),
        weights=initial_weights,
    output:
        checkpoint=of_run("best.pth"),
        history=of_run("history.csv"),
        record=of_run("train.json"),
    log:
        logs("train_run", OF_RUN),
    benchmark:
        benchmarks("train_run", OF_RUN)
    wildcard_constraints:
        initialization="(?!zero_shot|external)[a-z_]+",
    conda:
        "../../envs/segbench.yaml"
    threads: 8
    resources:
        gpu=lambda w: STARTS.training(run_of(w)).gpus_per_run or 1,
    params:
        code=code("train_run.py"),
        work=WORK,
        # a function of `output` is no reason to run again
        how=lambda w, output: STARTS.training(run_of(w)).how,
        came_from=lambda w: JOBS.of_training(run_of(w)),
    script:
        "../scripts/train_run.py"


# what `zero_shot` is: the source checkpoint as it is
rule take_checkpoint:
    """Take a source checkpoint as it is, for a run in which nothing is trained."""
    input:
        model_check=f"{RESULTS}/check/{{model}}/zero_shot.json",
        config=of_run("config.py", "zero_shot"),
        weights=lambda w: STARTS.inputs(zero_shot_run_of(w)),
    output:
        checkpoint=of_run("best.pth", "zero_shot"),
        history=of_run("history.csv", "zero_shot"),
        record=of_run("train.json", "zero_shot"),
    log:
        logs("take_checkpoint", OF_CHECKPOINT),
    benchmark:
        benchmarks("take_checkpoint", OF_CHECKPOINT)
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("take_checkpoint.py"),
        came_from=lambda w: JOBS.of_training(zero_shot_run_of(w)),
    script:
        "../scripts/take_checkpoint.py"
