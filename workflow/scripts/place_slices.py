"""Find the frame for each row of the user's table of parts of the images."""

from pathlib import Path

from segbench.datasets.slice_table import place
from segbench.system.logs import run_script


def main(snakemake):
    place(
        table=Path(snakemake.input.table),
        frames=Path(snakemake.input.frames),
        scored=snakemake.params.scored,
        target=Path(snakemake.output.table),
    )


run_script(main, snakemake)
