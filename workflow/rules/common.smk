# What all rules share: the validated experiment, its runs, and where files go. No rules here.
import sys
from pathlib import Path

# through `module:`, the workflow's own folder is known only from the place of this file
SCRIPTS = Path(str(workflow.current_basedir)).parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

from snakemake.cli import get_profile_dir
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.shell import shell

from segbench.plan.external import outside_runs
from segbench.plan.job_origins import JobOrigins
from segbench.zoo.names import config_digest, published_batch
from segbench.system.code_digest import code_digest
from segbench.datasets.meaning import what_counts, what_is_grouped, what_is_shown
from segbench.plan.load import load_datasets, load_experiment
from segbench.errors import SegbenchError
from segbench.system.failures import Listener, write_page
from segbench.system.files import sha256_of
from segbench.system.interrupts import (
    hold_back_while_scripts_start,
    take_one_interrupt_at_a_time,
)
from segbench.system.origins import restore_order, stale
from segbench.system.provenance import package_versions
from segbench.system.screening_records import DECISION, RoundRecord
from segbench.system.run_list import write_run_list
from segbench.plan.report_path import link_report
from segbench.plan.chosen_run import files_of_prediction
from segbench.plan.command_line import refuse_missing_profile
from segbench.plan.refusals import refuse_problems
from segbench.plan.run_settings import settings_of, settings_that_count
from segbench.plan.reuse import say_what_is_reused
from segbench.plan.runs import compared_runs
from segbench.plan.screening import ScreeningPlan
from segbench.config.paths import located
from segbench.config.schema import read_yaml
from segbench.plan.starts import StartingPoints
from segbench.plan.preconditions import (
    folders_written_by,
    listing_digest,
    origin_of_dataset,
    refuse_missing_source,
    refuse_no_gpus,
    refuse_unwritable,
    say_where_it_runs,
    say_what_is_run,
    scripts_import_from,
)

scripts_import_from(SCRIPTS)
take_one_interrupt_at_a_time()
hold_back_while_scripts_start(shell._process_args)

# where the files that a config names are looked for, after the working directory
FOLDERS = (
    *(Path(configfile).resolve().parent for configfile in workflow.configfiles),
    SCRIPTS.parent.parent,
)

try:
    for configfile in workflow.configfiles:
        read_yaml(
            Path(configfile)
        )  # Snakemake takes the last of two equal keys without a word
    if workflow.is_main_process:
        refuse_missing_profile(sys.argv[1:], get_profile_dir)
        refuse_no_gpus(workflow.global_resources.get("gpu"))
    EXPERIMENT = load_experiment(config)
    if workflow.is_main_process:
        say_what_is_run(EXPERIMENT.own_configs)
    RESULTS = f"results/{EXPERIMENT.experiment}"
    # what models are compared on, and what they are trained on before, if anything
    TARGET, *SOURCES = load_datasets(EXPERIMENT, *FOLDERS)
    refuse_unwritable(*folders_written_by(EXPERIMENT.experiment))
    for description in (TARGET, *SOURCES):
        absence = refuse_missing_source(description, Path("results/datasets"))
        if absence and workflow.is_main_process:
            print(absence, file=sys.stderr)
    STARTS = StartingPoints(
        EXPERIMENT, TARGET, next(iter(SOURCES), None), RESULTS, FOLDERS
    )
    # brief trainings of all candidates come first; once they are done, only those that are left
    # belong to the experiment
    SCREENED = ScreeningPlan.of(STARTS)
    LEFT = SCREENED.decided() if SCREENED else None
    IS_SCREENING = SCREENED is not None and LEFT is None
    if LEFT is not None:
        EXPERIMENT = LEFT
        STARTS = StartingPoints(LEFT, TARGET, STARTS.source, RESULTS, FOLDERS)
    refuse_problems(STARTS)
    WEIGHTS = STARTS.files()
    RUNS, UNFINISHED = compared_runs(EXPERIMENT, TARGET, Path(RESULTS))
    # those in which a model of the experiment predicts
    OWN_RUNS = [run for run in RUNS if not run.is_external]
    OUTSIDE = outside_runs(EXPERIMENT, TARGET, FOLDERS)
except SegbenchError as error:
    raise WorkflowError(str(error)) from None

LISTENER = Listener()
logger.addFilter(LISTENER)
DATASETS = {description.name: description for description in (TARGET, *SOURCES)}
PREPARED = f"results/datasets/{TARGET.name}"
OBTAINED = "resources/datasets"
# training states, keyed by the digest of a run, so experiments that share a run train it once;
# and what is known of the files of each dataset
WORK = "results/work"


wildcard_constraints:
    model="[A-Za-z0-9][A-Za-z0-9_.-]*",
    initialization="[a-z_]+",
    # with the fold, where there is one
    seed=r"\d+(-fold\d+)?",
    dataset="[A-Za-z0-9][A-Za-z0-9_.-]*",


# what a log is called after
OF_RUN = f"{EXPERIMENT.experiment}/{{model}}_{{initialization}}_{{seed}}"
OF_MODEL = f"{EXPERIMENT.experiment}/{{model}}_{{initialization}}"
OF_CHECKPOINT = f"{EXPERIMENT.experiment}/{{model}}_{{seed}}"


def of_run(name, initialization="{initialization}"):
    """A file of the run that a job is for, as a pattern."""
    return f"{RESULTS}/runs/{{model}}/{initialization}/seed{{seed}}/{name}"


def logs(rule, name=EXPERIMENT.experiment):
    """The log of a rule."""
    return f"results/logs/{rule}/{name}.log"


def benchmarks(rule, name=EXPERIMENT.experiment):
    """Time and memory of a rule."""
    return f"results/benchmarks/{rule}/{name}.jsonl"


def code(script):
    """Digest of a script and the library code it reaches; its rule reruns when that changes."""
    return code_digest(SCRIPTS / script)


# what the files of a source held when they were read, and the digest of names, sizes and times
CONTENTS = f"{WORK}/datasets/{{dataset}}/contents.json"
LISTINGS = {
    name: listing_digest(one, Path(CONTENTS.format(dataset=name)))
    for name, one in DATASETS.items()
}
try:
    ORIGINS = {
        name: origin_of_dataset(
            one,
            code("prepare_dataset.py"),
            LISTINGS[name],
            f"results/datasets/{name}/manifest.json",
        )
        for name, one in DATASETS.items()
    }
except SegbenchError as error:
    raise WorkflowError(str(error)) from None
OUTSIDE_ORIGINS = {
    path: run.origin(TARGET, EXPERIMENT, code) for path, run in OUTSIDE.items()
}
JOBS = JobOrigins(STARTS, ORIGINS, OUTSIDE_ORIGINS, code)


def make_stale_results_again():
    """Have results made again that came from something else, as their records say.

    Snakemake notices changed parameters by itself only where its own records are. What it is told
    to force while it looks for the jobs is what `--forcerun` names; its settings cannot be changed
    here, because they are put in place after the rules are read.
    """
    if workflow.is_main_process:
        workflow.dag.forcefiles.update(stale(JOBS.expected))


def of_all_runs(name, runs=RUNS):
    """One file of every run."""
    return [f"{RESULTS}/runs/{run.path}/{name}" for run in runs]


def of_all_models(pattern):
    """One file per model and initialization, source runs included."""
    return [pattern.format(model=m, initialization=s) for m, s in STARTS.first_runs]


def of_dataset(name):
    """A file of the prepared dataset that a run is trained on."""
    return (
        lambda w: f"results/datasets/{STARTS.trained_on(first_run_of(w)).name}/{name}"
    )


def dataset_source(wildcards):
    """The folder a dataset is prepared from: the user's own, or the one that is made here."""
    make_stale_results_again()  # here, because all else rests on the data
    source = DATASETS[wildcards.dataset].source
    if source.is_made_here:
        return f"{OBTAINED}/{wildcards.dataset}"
    return ancient(
        source.path
    )  # its listing says what changed; the time of a folder does not


def run_of(wildcards):
    """The run that a job is for."""
    return STARTS.run(wildcards.model, wildcards.initialization, wildcards.seed)


def first_run_of(wildcards):
    """The first run of a model and initialization, which stands for all of them."""
    return STARTS.first_runs[wildcards.model, wildcards.initialization]


def zero_shot_run_of(wildcards):
    """The run in which nothing is trained that a job is for."""
    return STARTS.run(wildcards.model, "zero_shot", wildcards.seed)


def checked_config(wildcards):
    """The config that stands for all runs of a model and initialization."""
    return f"{RESULTS}/runs/{first_run_of(wildcards).path}/config.py"


def checked_model(run):
    """What says that a model can be trained and evaluated."""
    return f"{RESULTS}/check/{run.model}/{run.start}.json"


def timed_run(wildcards):
    """The run whose config stands for a model where its cost is measured.

    A checkpoint that is taken as it is has the classes of another dataset, so it comes last.
    """
    own = [
        run for run in STARTS.runs if run.model == wildcards.model and not run.on_source
    ]
    return min(own, key=lambda run: run.initialization == "zero_shot")


def outside_run_of(wildcards):
    """The predictions of another tool that a job is for."""
    return OUTSIDE[f"{wildcards.model}/external/seed{wildcards.seed}"]


def initial_weights(wildcards):
    """The weights files that a run starts from."""
    return STARTS.inputs(run_of(wildcards))


def known_weights(wildcards):
    """The weights files that a run starts from, except those that are still to be trained."""
    file = STARTS.weights(first_run_of(wildcards))
    return [] if file is None else [str(file.path)]


def model_of_prediction(wildcards):
    """The weights that images are predicted with, or the tables that say which are the best."""
    try:
        return files_of_prediction(EXPERIMENT, [run.path for run in OWN_RUNS], RESULTS)
    except SegbenchError as error:
        raise WorkflowError(str(error)) from None


def say_what_failed():
    """Say it last, and leave it beside the results."""
    print(*LISTENER.closing_lines(), sep="\n", file=sys.stderr)
    write_page(Path(RESULTS) / "failed.md", LISTENER.remaining())


# brief trainings and the decisions after each round
SCREENING = f"{RESULTS}/screening"


def trainings_of_round(wildcards):
    """The brief trainings of a round: of everybody in the first, later of those that were kept."""
    taking_part = SCREENED.candidates
    if (number := SCREENED.rounds[wildcards.round].number) > 1:
        before = checkpoints.halve_candidates.get(round=f"round{number - 1}").output[0]
        taking_part = RoundRecord.read(Path(before)).kept
    # in the order of the config, which decides between equals
    return [
        f"{SCREENING}/{wildcards.round}/{name}.json"
        for name in SCREENED.candidates
        if name in taking_part
    ]


def candidate_of(wildcards):
    """The run that stands for a candidate."""
    return SCREENED.candidates[f"{wildcards.model}/{wildcards.initialization}"]


def config_of_candidate(wildcards):
    """Its rendered config."""
    return f"{RESULTS}/runs/{candidate_of(wildcards).path}/config.py"


def listed_runs():
    """The runs that are watched, and those of them that are not compared."""
    runs, not_compared = STARTS.listed
    if IS_SCREENING:  # one seed of each
        briefly = {run.path for run in SCREENED.candidates.values()}
        runs = [run for run in runs if run in briefly or run in not_compared]
    return runs, not_compared


def say_what_is_missing():
    """After a comparison of the finished runs alone, say so."""
    if UNFINISHED:
        print(
            f"Incomplete: {len(UNFINISHED)} of {len(RUNS) + len(UNFINISHED)} runs are left out, "
            "because they are not finished. Run without `allow_missing` for those.",
            file=sys.stderr,
        )


def say_who_is_left():
    """After the first stage of a screening, say what comes next."""
    if IS_SCREENING and (left := SCREENED.decision()):
        print(
            f"Screening: left of {len(SCREENED.candidates)} candidates: "
            f"{', '.join(left.kept)}. "
            "Run the same command again to train what is left to the end, and to compare it.",
            file=sys.stderr,
        )
