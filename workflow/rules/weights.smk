# Weights that runs start from: each file is got once, verified, and shared by all experiments.


rule get_weights:
    """Get a file of weights that runs start from, and verify it."""
    output:
        "resources/weights/{weights}",
    log:
        logs("get_weights", "{weights}"),
    benchmark:
        benchmarks("get_weights", "{weights}")
    wildcard_constraints:
        weights="[A-Za-z0-9_.-]+",
    priority: 40
    # nodes of a cluster often have no access to the internet
    localrule: True
    conda:
        "../../envs/segbench.yaml"
    params:
        origin=lambda w, output: WEIGHTS[output[0]].origin,
        sha256=lambda w, output: WEIGHTS[output[0]].sha256,
    script:
        "../scripts/get_weights.py"
