"""Evaluate the best checkpoint of a run and store its counts."""

from pathlib import Path

from segbench.engine.evaluate import evaluate
from segbench.engine.evaluation_files import EvaluationFiles
from segbench.system.logs import run_script


def main(snakemake):
    evaluate(
        config_path=Path(snakemake.input.config),
        checkpoint=Path(snakemake.input.checkpoint),
        files=EvaluationFiles(**{name: Path(path) for name, path in snakemake.output.items()}),
        threads=snakemake.threads,
        size=snakemake.params.size,
        conditions=snakemake.params.conditions,
    )


run_script(main, snakemake)
