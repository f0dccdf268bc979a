"""Predict images with a model of the experiment."""

from pathlib import Path

from segbench.engine.predict import predict, say_outcome
from segbench.system.logs import run_script


def main(snakemake):
    settings, folder = snakemake.params.settings, Path(snakemake.output[0]).parent
    named = settings["run"]
    outcome = predict(
        model=str(folder.parent / "runs" / named if named else folder.parent),
        named=[settings["images"]],
        folder=folder,
        batch_size=settings["batch_size"],
        threads=snakemake.threads,
    )
    say_outcome(outcome, folder)


run_script(main, snakemake)
