"""Score predictions of another tool, and store their counts."""

from pathlib import Path

from segbench.engine.evaluation_files import EvaluationFiles
from segbench.engine.external import Outside, score_outside
from segbench.system.logs import run_script


def main(snakemake):
    output = snakemake.output
    score_outside(
        Outside(folder=Path(snakemake.params.folder), **snakemake.params.outside),
        dataset=Path(snakemake.input.manifest).parent,
        classes=snakemake.params.classes,
        names=Path(snakemake.params.names),
        files=EvaluationFiles(
            Path(output.confusion), Path(output.metrics), Path(output.predictions)
        ),
        workers=snakemake.threads,
        max_pixels=snakemake.params.max_pixels,
        size=snakemake.params.size,
    )


run_script(main, snakemake)
