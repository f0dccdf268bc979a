"""Draw the figures of a comparison."""

from pathlib import Path

from segbench.report.compare import write_figures
from segbench.report.comparison import Comparison
from segbench.system.logs import run_script


def main(snakemake):
    dataset = Path(snakemake.input.manifest).parent
    compared = Comparison.read(
        snakemake.params.runs,
        [Path(path).parent for path in snakemake.input.confusion],
        dataset,
        snakemake.params.classes,
        own_parts=next(map(Path, snakemake.input.own_parts), None),
        under_conditions=bool(snakemake.input.conditions),
    )
    folder = Path(snakemake.output.models).parent
    gallery = Path(snakemake.output.gallery)
    write_figures(compared, folder, gallery, dataset, snakemake.params.gallery_images)


run_script(main, snakemake)
