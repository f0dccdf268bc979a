"""Leave which candidates are compared, and what that rests on."""

from pathlib import Path

from segbench.system.logs import run_script
from segbench.system.screening_records import Decision, RoundRecord


def main(snakemake):
    Decision(
        origin=snakemake.params.origin,
        rounds=tuple(RoundRecord.read(Path(path)) for path in snakemake.input),
        not_screened=tuple(snakemake.params.not_screened),
    ).write(Path(snakemake.output[0]))


run_script(main, snakemake)
