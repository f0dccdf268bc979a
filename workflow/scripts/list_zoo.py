"""Write the table of the published models."""

import logging
from pathlib import Path

from segbench.system.logs import run_script
from segbench.zoo.index import all_published
from segbench.zoo.listing import ordered, write_csv

LOG = logging.getLogger("segbench.zoo")


def main(snakemake):
    entries = ordered(all_published(), "name")
    write_csv(entries, Path(snakemake.output[0]))
    LOG.info("%d published models: %s", len(entries), snakemake.output[0])


run_script(main, snakemake)
