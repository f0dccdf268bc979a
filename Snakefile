# segbench: which semantic-segmentation model should I use on my data, and how sure am I?
#
#   snakemake --cores 8 --resources gpu=1                       the experiment in config/config.yaml
#   snakemake --cores 8 --configfile config/experiments/X.yaml  another one
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")


DEFAULT_CONFIG = "config/config.yaml"
if not Path(DEFAULT_CONFIG).exists():  # run with --directory: take the workflow's own
    DEFAULT_CONFIG = str(Path(workflow.basedir) / DEFAULT_CONFIG)

# a config file named on the command line takes the place of the default one, key for key:
# merged into it, an experiment would also run the models of the other
if not workflow.overwrite_configfiles:

    configfile: DEFAULT_CONFIG


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/zoo.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/screen.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/predict.smk"


if workflow.is_main_process:
    restore_order(JOBS.in_order())
    say_what_is_reused(STARTS, JOBS.expected, code("train_run.py"), Path(WORK))


# on a cluster these run where Snakemake runs: they take seconds
localrules:
    list_zoo,
    place_slices,
    check_dataset,
    describe_dataset,
    render_config,
    pass_checks,
    all,
    zoo,
    fetch,
    prepare,
    check,
    train,
    evaluate,
    compare,


onstart:
    say_where_it_runs(workflow.local_exec, workflow.global_resources.get("gpu"))
    write_run_list(Path(RESULTS), *listed_runs(), EXPERIMENT.built_from)


onsuccess:
    say_who_is_left()
    say_what_is_missing()
    link_report(Path(RESULTS))
    if not UNFINISHED:
        write_page(Path(RESULTS) / "failed.md", [])


onerror:
    say_what_failed()


COMPARISON = [
    rules.compare_tables.output,
    rules.compare_figures.output,
    rules.compare_page.output,
]


rule all:
    """Everything: tables, figures and the cards of the datasets."""
    default_target: True
    input:
        # the first stage of an experiment with `screening` ends with the decision
        rules.draw_screening.output if SCREENED else [],
        [] if IS_SCREENING else COMPARISON,
        expand(rules.describe_dataset.output, dataset=DATASETS),


rule zoo:
    """The table of the published models: results/zoo.csv."""
    input:
        rules.list_zoo.output,


rule fetch:
    """All that comes from the network, weights and archives, and a list of it for `make bundle`."""
    input:
        list(WEIGHTS),
        list(DOWNLOADS),
    output:
        "resources/fetched.txt",
    log:
        logs("fetch"),
    conda:
        "envs/segbench.yaml"
    shell:
        "(: > {output}; for file in {input:q}; do echo $file >> {output}; done) 2> {log}"


rule prepare:
    """The prepared datasets."""
    input:
        expand(rules.prepare_dataset.output.manifest, dataset=DATASETS),


rule check:
    """Prove that the data are sound and that every model can be trained."""
    input:
        rules.pass_checks.output,
        expand(rules.describe_dataset.output, dataset=DATASETS),


rule train:
    """Train every run."""
    input:
        of_all_runs("best.pth", OWN_RUNS),


rule evaluate:
    """Train and evaluate every run."""
    input:
        of_all_runs("metrics.json"),


rule compare:
    """The same as `all`."""
    input:
        rules.all.input,
