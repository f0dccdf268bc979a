"""Refuse to start where the work cannot end: no place to write, nothing to read."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from segbench.datasets.description import DatasetDescription
from segbench.datasets.meaning import what_counts
from segbench.datasets.source_files import files_that_count
from segbench.errors import ConfigError
from segbench.system.contents import listing_as_read, stamps_of
from segbench.system.gpus import cuda_seems_present, devices_of_jobs
from segbench.system.origins import digest_of, read_origin


def scripts_import_from(folder: Path) -> None:
    """Make the processes that are started from here find the library in a folder, first of all.

    The digests of the rules are of the library in their own checkout, so that is what scripts
    must run, even where the environment knows another.
    """
    others = filter(None, [os.environ.get("PYTHONPATH")])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder.resolve()), *others])


def say_what_is_run(configs: Iterable[str]) -> None:
    """Say that configs of the user's own are code, before the first of them is read."""
    for config in dict.fromkeys(configs):
        print(f"Running {config}: a config of your own is Python code.", file=sys.stderr)


def refuse_no_gpus(asked: int | None) -> None:
    """Make sure that jobs can ask for a GPU.

    Args:
        asked: what `--resources gpu=` names, None if it is not given.

    Raises:
        ConfigError: it names 0.
    """
    if asked == 0:
        raise ConfigError(
            "--resources gpu=0: each training asks for one, and Snakemake would start all of them "
            "at once without any. Write gpu=1, also where there is no GPU: then one model at a "
            "time trains on the CPU. To leave the GPUs of a machine alone: CUDA_VISIBLE_DEVICES= "
            "snakemake ..."
        )


def say_where_it_runs(is_local: bool, asked: int | None = None) -> None:
    """Say once that models will train on the CPU, or wait for each other, where that is so.

    Args:
        is_local: whether jobs run on this machine, rather than on a cluster.
        asked: how many GPUs `--resources gpu=` names.
    """
    if not is_local:
        return
    if not cuda_seems_present():
        said = "No CUDA device on this machine: models train and are evaluated on the CPU."
        print(said, file=sys.stderr)
    there = devices_of_jobs()
    if asked and 0 < there < asked:
        print(
            f"--resources gpu={asked}, but jobs of this machine see {there}: further ones start, "
            f"hold their cores, and wait for a device. Better: --resources gpu={there}",
            file=sys.stderr,
        )


def refuse_unwritable(*folders: Path) -> None:
    """Make sure that folders can be written, or made.

    Raises:
        ConfigError: names the first that cannot, or the one above it that stands in the way, and
            the user to whom it belongs.
    """
    for existing in map(_nearest_existing, folders):
        if not existing.is_dir():
            raise ConfigError(
                f"{existing.absolute()}: is not a folder, so results cannot be written there"
            )
        if not os.access(existing, os.W_OK | os.X_OK):
            raise ConfigError(
                f"{existing.absolute()}: no permission to write results there{_owner(existing)}. "
                "Change its permissions, or run in another folder with: snakemake --directory "
                "FOLDER"
            )


def folders_written_by(experiment: str) -> list[Path]:
    """The folders that a run of an experiment writes into, Snakemake's own among them.

    Another user may have made any of them, and a training would find out late.
    """
    inside = ("", "work", "logs", "benchmarks", experiment, f"{experiment}/runs")
    return [Path(".snakemake"), *(Path("results", name) for name in inside)]


def _nearest_existing(path: Path) -> Path:
    while not os.path.lexists(path):
        path = path.parent
    return path


def _owner(folder: Path) -> str:
    """To whom a folder belongs, if that is somebody else."""
    owner = folder.stat().st_uid
    if owner == os.geteuid():
        return ""
    try:
        return f" (it belongs to {folder.owner()})"
    except KeyError:  # a user whom this machine does not know
        return f" (it belongs to user {owner})"


def listing_digest(dataset: DatasetDescription, contents: Path) -> str:
    """Digest of the names, sizes and times of the files of a source that is read where it is.

    So that a file which was added, removed or changed is noticed. Files that no pattern matches do
    not count, and neither does another time of the same content. Empty for other sources.

    Args:
        dataset: its description, with its source in place.
        contents: where a preparation notes what the files held.
    """
    source = dataset.source
    if source.is_made_here or source.path is None or not Path(source.path).is_dir():
        return ""
    root = Path(source.path) / dataset.root
    return listing_as_read(contents, root, stamps_of(root, files_that_count(dataset, root)))


def refuse_missing_source(dataset: DatasetDescription, prepared: Path) -> str:
    """Make sure that a dataset's source exists, unless it was prepared before.

    Returns:
        That it is absent, in a sentence, empty if it is there.

    Raises:
        ConfigError: names the missing folder or archive and how to say where it lies.
    """
    path = dataset.source.path
    if path is None:
        return ""
    if set("{}") & set(path):
        raise ConfigError(f"{path}: a path with braces cannot be used; rename it or make a link")
    if Path(path).exists():
        return ""
    if (prepared / dataset.name / "manifest.json").exists():
        return f"{path}: no such source; the dataset '{dataset.name}' is used as it was prepared."
    what = "archive" if dataset.source.archive else "folder"
    raise ConfigError(
        f"{path}: no such {what}, so the dataset '{dataset.name}' cannot be prepared. Put it "
        f"there, correct `source` in its description, or say where it lies: "
        f"--config 'dataset_sources={{{dataset.name}: PATH}}'"
    )


def origin_of_dataset(dataset: DatasetDescription, code: str, listing: str, manifest: str) -> str:
    """What a prepared dataset comes from: code and description, and the files of its source.

    Where the source is absent, the files are taken to be those that it was prepared from.

    Args:
        dataset: its description, with its source in place.
        code: digest of the code that prepares it.
        listing: digest of the files of a source that is read where it is.
        manifest: path of the prepared dataset's manifest.

    Raises:
        ConfigError: the source is absent, and the dataset was prepared from another description.
    """
    made_from = {key: value for key, value in what_counts(dataset).items() if key != "source"}
    prepared = digest_of(code=code, description=made_from)
    path = dataset.source.path
    if path is None or Path(path).exists():
        return f"{prepared}:{listing}"
    origin = read_origin(manifest)
    before, _, listed = (origin.came_from if origin else "").partition(":")
    if before and before != prepared:
        raise ConfigError(
            f"{path}: no such source, and the dataset '{dataset.name}' was prepared from another "
            "description. Put the source there, or correct its path, to prepare it again."
        )
    return f"{prepared}:{listed}"
