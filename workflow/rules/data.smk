# From a dataset's source to a prepared dataset that passed its checks.


# a folder of the user's own is read where it is, and is never an output
if DATASET.source.is_made_here:

    rule obtain_dataset:
        input:
            [DATASET.source.path] if DATASET.source.is_archive else [],
        output:
            directory(OBTAINED),
        log:
            f"results/logs/obtain_dataset/{DATASET.name}.log",
        benchmark:
            f"results/benchmarks/obtain_dataset/{DATASET.name}.jsonl"
        conda:
            "../../envs/segbench.yaml"
        threads: 8
        params:
            code=code("obtain_dataset.py"),
            source=lambda wildcards: DATASET.source.model_dump_json(),
        script:
            "../scripts/obtain_dataset.py"


rule prepare_dataset:
    input:
        source=dataset_source,
    output:
        manifest=f"{PREPARED}/manifest.json",
        frames=f"{PREPARED}/frames.csv",
        splits=[f"{PREPARED}/splits/{side}.txt" for side in ("train", "val")],
        folders=[
            directory(f"{PREPARED}/{side}_{kind}")
            for side in ("train", "val")
            for kind in ("img", "label")
        ],
    log:
        f"results/logs/prepare_dataset/{DATASET.name}.log",
    benchmark:
        f"results/benchmarks/prepare_dataset/{DATASET.name}.jsonl"
    conda:
        "../../envs/segbench.yaml"
    threads: 8
    params:
        code=code("prepare_dataset.py"),
        description=lambda wildcards: DATASET.model_dump_json(),
        listing=listing_digest(DATASET.source),
        memory=f"{WORK}/datasets/{DATASET.name}",
    script:
        "../scripts/prepare_dataset.py"


rule check_dataset:
    input:
        manifest=f"{PREPARED}/manifest.json",
        frames=f"{PREPARED}/frames.csv",
    output:
        f"{PREPARED}/check.json",
    log:
        f"results/logs/check_dataset/{DATASET.name}.log",
    benchmark:
        f"results/benchmarks/check_dataset/{DATASET.name}.jsonl"
    conda:
        "../../envs/segbench.yaml"
    script:
        "../scripts/check_dataset.py"


rule describe_dataset:
    input:
        manifest=f"{PREPARED}/manifest.json",
        check=f"{PREPARED}/check.json",
    output:
        f"{PREPARED}/card/classes.png",
        page=report(
            f"{PREPARED}/card/card.html",
            category="Dataset",
            caption="../report/card.rst",
            labels={"shows": "counts, classes and warnings", "as": "table"},
        ),
        classes=report(
            f"{PREPARED}/card/classes.svg",
            category="Dataset",
            caption="../report/classes.rst",
            labels={"shows": "classes", "as": "bars and heat map"},
        ),
        samples=report(
            f"{PREPARED}/card/samples.png",
            category="Dataset",
            caption="../report/samples.rst",
            labels={"shows": "images with their labels", "as": "pictures"},
        ),
    log:
        f"results/logs/describe_dataset/{DATASET.name}.log",
    benchmark:
        f"results/benchmarks/describe_dataset/{DATASET.name}.jsonl"
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("describe_dataset.py"),
    script:
        "../scripts/describe_dataset.py"
