# What MMSegmentation's model zoo publishes.


rule list_zoo:
    """Write the table of the published models."""
    output:
        "results/zoo.csv",
    log:
        logs("list_zoo", "zoo"),
    benchmark:
        benchmarks("list_zoo", "zoo")
    conda:
        "../../envs/segbench.yaml"
    params:
        code=code("list_zoo.py"),
        package=package_versions().get("onedl-mmsegmentation"),
    script:
        "../scripts/list_zoo.py"
