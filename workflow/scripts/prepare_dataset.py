"""Bring a dataset into the one form that every model reads."""

from pathlib import Path

from segbench.datasets.description import DatasetDescription
from segbench.datasets.prepare import prepare
from segbench.system.logs import run_script


def main(snakemake):
    prepare(
        description=DatasetDescription.model_validate_json(snakemake.params.description),
        source=Path(snakemake.input.source),
        folder=Path(snakemake.output.manifest).parent,
        workers=snakemake.threads,
        cache=Path(snakemake.params.cache),
        listing=snakemake.params.listing,
    )


run_script(main, snakemake)
