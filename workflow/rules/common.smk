# What all rules share: the validated experiment, its runs, and where files go. No rules here.
import sys
from pathlib import Path

# through `module:`, the workflow's own folder is known only from the place of this file
SCRIPTS = Path(str(workflow.current_basedir)).parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

from snakemake.exceptions import WorkflowError

from segbench import zoo
from segbench.config import load_dataset, load_experiment
from segbench.devices import cuda_seems_present
from segbench.errors import SegbenchError
from segbench.provenance import code_digest
from segbench.runs import recipe_settings, run_table
from segbench.workspace import (
    listing_digest,
    refuse_missing_source,
    refuse_missing_weights,
    refuse_unwritable,
    scripts_import_from,
)

scripts_import_from(SCRIPTS)

try:
    EXPERIMENT = load_experiment(config)
    DATASET = load_dataset(EXPERIMENT, SCRIPTS.parent.parent)
    refuse_unwritable(Path("results"))
    refuse_missing_source(DATASET, Path("results/datasets"))
    refuse_missing_weights(EXPERIMENT)
except SegbenchError as error:
    raise WorkflowError(str(error)) from None

RUNS = run_table(EXPERIMENT)
RESULTS = f"results/{EXPERIMENT.experiment}"
PREPARED = f"results/datasets/{DATASET.name}"
OBTAINED = f"resources/datasets/{DATASET.name}"
# training states, keyed by the digest of a run, so experiments that share a run train it once;
# and what is known of the files of each dataset
WORK = "results/work"


wildcard_constraints:
    model="[A-Za-z0-9][A-Za-z0-9_.-]*",
    initialization="[a-z_]+",
    seed=r"\d+",


def code(script):
    """Digest of a script and the library code it reaches; its rule reruns when that changes."""
    return code_digest(SCRIPTS / script)


def of_all_runs(name):
    """One file of every run."""
    return [f"{RESULTS}/runs/{run.path}/{name}" for run in RUNS]


def of_all_models(pattern):
    """One file per model and initialization."""
    pairs = dict.fromkeys((run.model, run.initialization) for run in RUNS)
    return [pattern.format(model=m, initialization=i) for m, i in pairs]


def dataset_source(wildcards):
    """The folder a dataset is prepared from: the user's own, or the one that is made here."""
    return OBTAINED if DATASET.source.is_made_here else DATASET.source.path


def backbone_weights(wildcards):
    """The weights file that a model's training starts from, if any."""
    if wildcards.initialization != "imagenet":
        return []
    return EXPERIMENT.models[wildcards.model].backbone_weights


def say_where_it_runs():
    """Say once that models will train on the CPU, where that is so."""
    if not cuda_seems_present():
        print(
            "No CUDA device on this machine: models train and are evaluated on the CPU.",
            file=sys.stderr,
        )
