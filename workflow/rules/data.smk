# From a dataset's source to a prepared dataset that passed its checks.


if DATASET.source.url:

    # shared by all datasets and experiments that name this file. Its hash says what it is, so it
    # is fetched once, whatever becomes of the code and of the address: a function of `output` is
    # no reason to run again
    rule download_dataset:
        output:
            DATASET.source.archive,
        log:
            f"results/logs/download_dataset/{DATASET.name}.log",
        benchmark:
            f"results/benchmarks/download_dataset/{DATASET.name}.jsonl"
        # nodes of a cluster often have no access to the internet
        localrule: True
        conda:
            "../../envs/segbench.yaml"
        params:
            url=lambda wildcards, output: DATASET.source.url,
            sha256=DATASET.source.sha256,
        script:
            "../scripts/download_dataset.py"


# a folder of the user's own is read where it is, and is never an output
if DATASET.source.is_made_here:

    rule obtain_dataset:
        input:
            DATASET.source.archive or [],
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
            demo=lambda wildcards: DATASET.source.drawing,
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
        description=lambda wildcards: DATASET.model_dump_json(exclude_defaults=True),
        listing=listing_digest(DATASET.source),
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
