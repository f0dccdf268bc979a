"""Write the tables of a comparison and the report's first page."""

from pathlib import Path

from segbench.report.compare import read_runs, write_tables
from segbench.system.logs import run_script


def main(snakemake):
    folders = [Path(path).parent for path in snakemake.input.confusion]
    write_tables(
        candidates=read_runs(snakemake.params.runs, folders, Path(snakemake.input.frames)),
        manifest_path=Path(snakemake.input.manifest),
        frames_path=Path(snakemake.input.frames),
        folder=Path(snakemake.output.summary).parent,
        experiment=snakemake.params.experiment,
        classes=snakemake.params.classes,
        unfinished=snakemake.params.unfinished,
        configs=snakemake.params.configs,
        citation=snakemake.params.citation,
    )


run_script(main, snakemake)
