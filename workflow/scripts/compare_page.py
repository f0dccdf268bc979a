"""Write the interactive page of a comparison."""

from pathlib import Path

import segbench
from segbench.report.comparison import Comparison
from segbench.report.page import write_page
from segbench.report.screening import remarks_in
from segbench.system.logs import run_script


def main(snakemake):
    params = snakemake.params
    dataset = Path(snakemake.input.manifest).parent
    captions = Path(segbench.__file__).parents[2] / "report"
    compared = Comparison.read(
        params.runs,
        [Path(path).parent for path in snakemake.input.confusion],
        dataset,
        params.classes,
        own_parts=next(map(Path, snakemake.input.own_parts), None),
        under_conditions=bool(snakemake.input.conditions),
        levels=params.levels,
        experiment=params.experiment,
        unfinished=params.unfinished,
        screening=remarks_in(snakemake.input.screening),
    )
    figures = [
        (path, params.titles[path.stem], (captions / f"{path.stem}.rst").read_text())
        for path in map(Path, snakemake.input.figures)
    ]
    write_page(compared, Path(snakemake.output.page), dataset, captions / "page", figures)


run_script(main, snakemake)
