"""Train a candidate to the end of a round of the screening."""

from pathlib import Path

from segbench.engine.screen import train_briefly
from segbench.system.logs import run_script


def main(snakemake):
    train_briefly(
        config_path=Path(snakemake.input.config),
        manifest_path=Path(snakemake.input.manifest),
        work=Path(snakemake.params.work),
        code=snakemake.params.code,
        threads=snakemake.threads,
        share=snakemake.params.share,
        devices=snakemake.resources.get("gpu", 1),
        save_minutes=snakemake.params.save_minutes,
    ).write(Path(snakemake.output[0]))


run_script(main, snakemake)
