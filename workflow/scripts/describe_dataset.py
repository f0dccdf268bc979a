"""Draw and write the card of a prepared dataset."""

from pathlib import Path

from segbench.report.dataset_card import write_card
from segbench.system.logs import run_script


def main(snakemake):
    write_card(
        manifest_path=Path(snakemake.input.manifest),
        frames_path=Path(snakemake.input.frames),
        about=snakemake.params.about,
        classes=snakemake.params.classes,
        folder=Path(snakemake.output.page).parent,
    )


run_script(main, snakemake)
