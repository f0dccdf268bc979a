"""Judge the prepared dataset; errors stop here."""

import json
from pathlib import Path

from segbench.datasets.check import check_dataset
from segbench.system.logs import run_script


def main(snakemake):
    warnings = check_dataset(Path(snakemake.input.manifest), Path(snakemake.input.frames))
    content = {"warnings": [warning.as_dict() for warning in warnings]}
    Path(snakemake.output[0]).write_text(json.dumps(content, indent=1) + "\n")


run_script(main, snakemake)
