"""Show what the screening found: a table, curves and a page."""

from pathlib import Path

from segbench.report.screening import write_screening
from segbench.system.logs import run_script


def main(snakemake):
    write_screening(
        Path(snakemake.input.decision),
        Path(snakemake.output.table),
        Path(snakemake.output.figure),
        Path(snakemake.output.page),
    )


run_script(main, snakemake)
