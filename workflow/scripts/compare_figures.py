"""Draw the figures of a comparison."""

from pathlib import Path

from segbench.report.compare import read_runs, write_figures
from segbench.system.logs import run_script


def main(snakemake):
    folders = [Path(path).parent for path in snakemake.input.confusion]
    write_figures(
        candidates=read_runs(snakemake.params.runs, folders, Path(snakemake.input.frames)),
        manifest_path=Path(snakemake.input.manifest),
        folder=Path(snakemake.output.models).parent,
        gallery_path=Path(snakemake.output.gallery),
        classes=snakemake.params.classes,
        frames_path=Path(snakemake.input.frames),
    )


run_script(main, snakemake)
