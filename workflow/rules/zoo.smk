# What MMSegmentation's model zoo publishes.


rule list_zoo:
    output:
        "results/zoo.csv",
    log:
        "results/logs/list_zoo.log",
    benchmark:
        "results/benchmarks/list_zoo.jsonl"
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("list_zoo.py"),
        package=package_versions().get("onedl-mmsegmentation"),
    script:
        "../scripts/list_zoo.py"
