# From a dataset's source to a prepared dataset that passed its checks.


DOWNLOADS = {d.source.archive: d.source for d in DATASETS.values() if d.source.url}


# shared by all datasets and experiments that name this file. Its hash says what it is, so it is
# fetched once, whatever becomes of the code and of the address: a function of `output` is no reason
# to run again
rule download_dataset:
    """Download the archive of a dataset, and prove its hash."""
    output:
        "resources/data/{hash}/{file}",
    log:
        logs("download_dataset", "{hash}_{file}"),
    benchmark:
        benchmarks("download_dataset", "{hash}_{file}")
    wildcard_constraints:
        hash="[0-9a-f]{16}",
        file="[^/]+",
    # nodes of a cluster often have no access to the internet
    localrule: True
    conda:
        "../../envs/segbench.yaml"
    params:
        url=lambda wildcards, output: DOWNLOADS[output[0]].url,
        sha256=lambda wildcards, output: DOWNLOADS[output[0]].sha256,
    script:
        "../scripts/download_dataset.py"


rule obtain_dataset:
    """Bring a dataset's source in place: draw it, or unpack its archive."""
    input:
        lambda w: DATASETS[w.dataset].source.archive or [],
    output:
        directory(f"{OBTAINED}/{{dataset}}"),
    log:
        logs("obtain_dataset", "{dataset}"),
    benchmark:
        benchmarks("obtain_dataset", "{dataset}")
    # a folder of the user's own is read where it is, and is never an output
    wildcard_constraints:
        dataset="|".join(n for n, d in DATASETS.items() if d.source.is_made_here)
        or "(?!)",
    conda:
        "../../envs/segbench.yaml"
    threads: 8
    params:
        code=code("obtain_dataset.py"),
        demo=lambda w: DATASETS[w.dataset].source.drawing,
        max_files=lambda w: DATASETS[w.dataset].source.max_files,
    script:
        "../scripts/obtain_dataset.py"


rule prepare_dataset:
    """Bring a dataset into the one form that every model reads."""
    input:
        source=dataset_source,
    output:
        manifest="results/datasets/{dataset}/manifest.json",
        frames="results/datasets/{dataset}/frames.csv",
        splits=[
            f"results/datasets/{{dataset}}/splits/{split}.txt"
            for split in ("train", "val")
        ],
        folders=[
            directory(f"results/datasets/{{dataset}}/{split}_{kind}")
            for split in ("train", "val")
            for kind in ("img", "label")
        ],
    log:
        logs("prepare_dataset", "{dataset}"),
    benchmark:
        benchmarks("prepare_dataset", "{dataset}")
    conda:
        "../../envs/segbench.yaml"
    threads: 8
    params:
        code=code("prepare_dataset.py"),
        counts=lambda w: what_counts(DATASETS[w.dataset]),
        # a function of `output` is no reason to run again: names and colours alone do not count
        description=lambda w, output: DATASETS[w.dataset].model_dump_json(
            exclude_defaults=True, exclude={"about"}
        ),
        listing=lambda w: LISTINGS[w.dataset],
        cache=f"{WORK}/datasets/{{dataset}}",
        came_from=lambda w: ORIGINS[w.dataset],
    script:
        "../scripts/prepare_dataset.py"


rule check_dataset:
    """Judge a prepared dataset; errors stop here."""
    input:
        manifest="results/datasets/{dataset}/manifest.json",
        frames="results/datasets/{dataset}/frames.csv",
    output:
        "results/datasets/{dataset}/check.json",
    log:
        logs("check_dataset", "{dataset}"),
    benchmark:
        benchmarks("check_dataset", "{dataset}")
    conda:
        "../../envs/segbench.yaml"
    script:
        "../scripts/check_dataset.py"


rule describe_dataset:
    """Draw and write the card of a prepared dataset."""
    input:
        manifest="results/datasets/{dataset}/manifest.json",
        frames="results/datasets/{dataset}/frames.csv",
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
        logs("describe_dataset", "{dataset}"),
    benchmark:
        benchmarks("describe_dataset", "{dataset}")
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("describe_dataset.py"),
        about=lambda w: DATASETS[w.dataset].about.model_dump(exclude_none=True),
        classes=lambda w: what_is_shown(DATASETS[w.dataset]),
        came_from=lambda w: JOBS.of_drawing(DATASETS[w.dataset]),
    script:
        "../scripts/describe_dataset.py"
