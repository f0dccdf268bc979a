"""Take a source checkpoint as it is, for a run in which nothing is trained."""

from pathlib import Path

from segbench.engine.zero_shot import take
from segbench.system.logs import run_script


def main(snakemake):
    take(Path(snakemake.input.config), Path(snakemake.output.checkpoint).parent)


run_script(main, snakemake)
