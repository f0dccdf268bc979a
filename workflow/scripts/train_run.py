"""Train one run, or go on with it where it was interrupted."""

from pathlib import Path

from segbench.engine.train import train
from segbench.system.logs import run_script


def main(snakemake):
    train(
        config_path=Path(snakemake.input.config),
        manifest_path=Path(snakemake.input.manifest),
        folder=Path(snakemake.output.checkpoint).parent,
        work=Path(snakemake.params.work),
        code=snakemake.params.code,
        threads=snakemake.threads,
        devices=snakemake.resources.get("gpu", 1),
        save_minutes=snakemake.params.save_minutes,
    )


run_script(main, snakemake)
