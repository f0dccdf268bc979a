"""Get a file of weights from a URL, a mirror or a local path, and verify it."""

from pathlib import Path

from segbench.system.fetch import get_weights
from segbench.system.logs import run_script


def main(snakemake):
    get_weights(
        origin=snakemake.params.origin,
        sha256=snakemake.params.sha256,
        path=Path(snakemake.output[0]),
    )


run_script(main, snakemake)
