"""Bring a dataset's source in place: draw it, or unpack its archive."""

from pathlib import Path

from segbench.datasets.archives import unpack
from segbench.datasets.description import Source
from segbench.demo.dataset import draw_dataset
from segbench.logs import run_script


def main(snakemake):
    source = Source.model_validate_json(snakemake.params.source)
    folder = Path(snakemake.output[0])
    if source.demo is None:
        unpack(Path(source.path), folder)
    else:
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
