"""Measure what a prediction of a model costs."""

from pathlib import Path

from segbench.engine.cost import measure_cost
from segbench.system.logs import run_script


def main(snakemake):
    measure_cost(
        config_path=Path(snakemake.input.config),
        path=Path(snakemake.output.cost),
        threads=snakemake.threads,
    )


run_script(main, snakemake)
