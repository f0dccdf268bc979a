"""Train a candidate to the end of a round of the screening."""

from pathlib import Path

from segbench.engine.execution import Execution
from segbench.engine.screen import train_briefly
from segbench.system.logs import run_script


def main(snakemake):
    train_briefly(
        config_path=Path(snakemake.input.config),
        manifest_path=Path(snakemake.input.manifest),
        work=Path(snakemake.params.work),
        code=snakemake.params.code,
        execution=Execution(
            threads=snakemake.threads,
            devices=snakemake.resources.get("gpu", 1),
            **snakemake.params.how,
        ),
        share=snakemake.params.share,
    ).write(Path(snakemake.output[0]))


run_script(main, snakemake)
