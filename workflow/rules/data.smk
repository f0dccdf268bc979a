# From a dataset's source to a prepared dataset that passed its checks.


LISTINGS = {name: listing_digest(one.source) for name, one in DATASETS.items()}


rule obtain_dataset:
    input:
        lambda w: (
            [DATASETS[w.dataset].source.path]
            if DATASETS[w.dataset].source.is_archive
            else []
        ),
    output:
        directory(f"{OBTAINED}/{{dataset}}"),
    log:
        "results/logs/obtain_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/obtain_dataset/{dataset}.jsonl"
    # a folder of the user's own is read where it is, and is never an output
    wildcard_constraints:
        dataset="|".join(n for n, d in DATASETS.items() if d.source.is_made_here)
        or "(?!)",
    conda:
        "../../envs/segbench.yaml"
    threads: 8
    params:
        code=code("obtain_dataset.py"),
        source=lambda w: DATASETS[w.dataset].source.model_dump_json(),
    script:
        "../scripts/obtain_dataset.py"


rule prepare_dataset:
    input:
        source=dataset_source,
    output:
        manifest="results/datasets/{dataset}/manifest.json",
        frames="results/datasets/{dataset}/frames.csv",
        splits=[
            f"results/datasets/{{dataset}}/splits/{side}.txt"
            for side in ("train", "val")
        ],
        folders=[
            directory(f"results/datasets/{{dataset}}/{side}_{kind}")
            for side in ("train", "val")
            for kind in ("img", "label")
        ],
    log:
        "results/logs/prepare_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/prepare_dataset/{dataset}.jsonl"
    conda:
        "../../envs/segbench.yaml"
    threads: 8
    params:
        code=code("prepare_dataset.py"),
        description=lambda w: DATASETS[w.dataset].model_dump_json(),
        listing=lambda w: LISTINGS[w.dataset],
    script:
        "../scripts/prepare_dataset.py"


rule check_dataset:
    input:
        manifest="results/datasets/{dataset}/manifest.json",
        frames="results/datasets/{dataset}/frames.csv",
    output:
        "results/datasets/{dataset}/check.json",
    log:
        "results/logs/check_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/check_dataset/{dataset}.jsonl"
    conda:
        "../../envs/segbench.yaml"
    script:
        "../scripts/check_dataset.py"


rule describe_dataset:
    input:
        manifest="results/datasets/{dataset}/manifest.json",
        check="results/datasets/{dataset}/check.json",
    output:
        "results/datasets/{dataset}/card/classes.png",
        page=report(
            "results/datasets/{dataset}/card/card.html",
            category="Dataset",
            caption="../report/card.rst",
            labels={"shows": "counts, classes and warnings", "as": "table"},
        ),
        classes=report(
            "results/datasets/{dataset}/card/classes.svg",
            category="Dataset",
            caption="../report/classes.rst",
            labels={"shows": "classes", "as": "bars and heat map"},
        ),
        samples=report(
            "results/datasets/{dataset}/card/samples.png",
            category="Dataset",
            caption="../report/samples.rst",
            labels={"shows": "images with their labels", "as": "pictures"},
        ),
    log:
        "results/logs/describe_dataset/{dataset}.log",
    benchmark:
        "results/benchmarks/describe_dataset/{dataset}.jsonl"
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("describe_dataset.py"),
    script:
        "../scripts/describe_dataset.py"
