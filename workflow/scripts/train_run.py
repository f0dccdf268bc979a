"""Train one run, or go on with it where it was interrupted."""

from pathlib import Path

from segbench.engine.execution import Execution
from segbench.engine.train import train
from segbench.system.logs import run_script


def main(snakemake):
    train(
        config_path=Path(snakemake.input.config),
        manifest_path=Path(snakemake.input.manifest),
        folder=Path(snakemake.output.checkpoint).parent,
        work=Path(snakemake.params.work),
        code=snakemake.params.code,
        execution=Execution(
            threads=snakemake.threads,
            devices=snakemake.resources.get("gpu", 1),
            **snakemake.params.how,
        ),
    )


run_script(main, snakemake)
