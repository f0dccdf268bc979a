"""Say which candidates of a round of the screening go on."""

from pathlib import Path

from segbench.report.screening import halve
from segbench.system.logs import run_script


def main(snakemake):
    halve(
        list(map(Path, snakemake.input)),
        number=snakemake.params.number,
        share=snakemake.params.share,
        keep=snakemake.params.keep,
    ).write(Path(snakemake.output[0]))


run_script(main, snakemake)
