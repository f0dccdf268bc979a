"""Evaluate the best checkpoint of a run and store its counts."""

from pathlib import Path

from segbench.engine.evaluate import evaluate
from segbench.system.logs import run_script


def main(snakemake):
    evaluate(
        config_path=Path(snakemake.input.config),
        checkpoint=Path(snakemake.input.checkpoint),
        confusion_path=Path(snakemake.output.confusion),
        metrics_path=Path(snakemake.output.metrics),
        predictions_path=Path(snakemake.output.predictions),
        gallery_images=snakemake.params.gallery_images,
        threads=snakemake.threads,
    )


run_script(main, snakemake)
