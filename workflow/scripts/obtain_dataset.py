"""Bring a dataset's source in place: draw it, or unpack its archive."""

from pathlib import Path

from segbench.datasets.archives import unpack
from segbench.datasets.description import Source
from segbench.demo.dataset import draw_dataset
from segbench.logs import run_script


def main(snakemake):
    folder = Path(snakemake.output[0])
    if snakemake.params.demo is None:
        unpack(Path(snakemake.input[0]), folder)
    else:
        source = Source.model_validate_json(snakemake.params.demo)
        draw_dataset(
            folder,
            source.demo,
            source.train,
            source.val,
            source.size,
            source.seed,
            snakemake.threads,
        )


run_script(main, snakemake)
