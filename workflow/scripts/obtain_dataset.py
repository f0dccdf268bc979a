"""Bring a dataset's source in place: draw it, or unpack its archive."""

from pathlib import Path

from segbench.datasets.archives import unpack
from segbench.demo.dataset import draw_dataset
from segbench.system.logs import run_script


def main(snakemake):
    folder = Path(snakemake.output[0])
    if snakemake.params.demo is None:
        unpack(Path(snakemake.input[0]), folder, snakemake.params.max_files)
    else:
        draw_dataset(folder, **snakemake.params.demo, workers=snakemake.threads)


run_script(main, snakemake)
