"""Turn a zoo config into the config of one run."""

from pathlib import Path

from segbench.recipe.context import Recipe
from segbench.recipe.render import render
from segbench.system.logs import run_script
from segbench.zoo.names import config_path


def main(snakemake):
    recipe = Recipe.of(
        snakemake.params.run, snakemake.params.published_batch, snakemake.params.settings
    )
    text = render(config_path(snakemake.params.zoo_config), Path(snakemake.input.manifest), recipe)
    Path(snakemake.output[0]).write_text(text)


run_script(main, snakemake)
