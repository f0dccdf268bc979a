"""Download a dataset's archive."""

from pathlib import Path

from segbench.system.download import download
from segbench.system.logs import run_script


def main(snakemake):
    download(
        snakemake.params.url,
        Path(snakemake.output[0]),
        sha256=snakemake.params.sha256,
    )


run_script(main, snakemake)
