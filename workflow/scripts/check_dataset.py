"""Judge the prepared dataset; errors stop here."""

from pathlib import Path

from segbench.datasets.check import check_dataset
from segbench.system.logs import run_script


def main(snakemake):
    found = check_dataset(Path(snakemake.input.manifest), Path(snakemake.input.frames))
    found.write(Path(snakemake.output[0]))


run_script(main, snakemake)
