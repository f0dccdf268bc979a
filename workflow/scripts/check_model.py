"""Prove that a model can be trained and evaluated on the dataset."""

from pathlib import Path

from segbench.engine.preflight import preflight
from segbench.system.logs import run_script


def main(snakemake):
    preflight(
        config_path=Path(snakemake.input.config),
        manifest_path=Path(snakemake.input.manifest),
        report_path=Path(snakemake.output[0]),
    )


run_script(main, snakemake)
