# New images, predicted with a model of the experiment.


rule predict:
    """Predict images with the best model, or with a run that is named."""
    input:
        model_of_prediction,
    output:
        f"{RESULTS}/predictions/shares.csv",
    log:
        logs("predict"),
    benchmark:
        benchmarks("predict")
    conda:
        "../../envs/segbench.yaml"
    threads: 8
    resources:
        gpu=1,
    # no digest of code: images that were predicted by these weights are left, whatever the code
    params:
        settings=EXPERIMENT.predict and EXPERIMENT.predict.model_dump(),
    script:
        "../scripts/predict.py"
