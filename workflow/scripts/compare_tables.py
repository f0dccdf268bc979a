"""Write the tables of a comparison and the report's first page."""

from pathlib import Path

from segbench.report.compare import write_tables
from segbench.report.comparison import Comparison
from segbench.report.screening import remarks_in
from segbench.system.logs import run_script


def main(snakemake):
    compared = Comparison.read(
        snakemake.params.runs,
        [Path(path).parent for path in snakemake.input.confusion],
        Path(snakemake.input.manifest).parent,
        snakemake.params.classes,
        own_parts=next(map(Path, snakemake.input.own_parts), None),
        under_conditions=bool(snakemake.input.conditions),
        levels=snakemake.params.levels,
        experiment=snakemake.params.experiment,
        unfinished=snakemake.params.unfinished,
        configs=snakemake.params.configs,
        citation=snakemake.params.citation,
        screening=remarks_in(snakemake.input.screening),
    )
    write_tables(compared, Path(snakemake.output.summary).parent)


run_script(main, snakemake)
