"""Download a dataset's archive."""

from pathlib import Path

from segbench.download import download
from segbench.logs import run_script


def main(snakemake):
    download(
        snakemake.params.url,
        Path(snakemake.output[0]),
        sha256=snakemake.params.sha256,
    )


run_script(main, snakemake)
