"""The plain values that shape the config of a run: what a rule is told, and a digest holds."""

from segbench.config.experiment import TRANSFERRED
from segbench.config.training import HOW_ONLY
from segbench.plan.runs import RunKey
from segbench.plan.source_classes import class_map_of
from segbench.plan.starts import StartingPoints


def settings_of(starts: StartingPoints, run: RunKey) -> dict[str, object]:
    """Plain values that shape the config of a run.

    Kept free of what other models ask for, so that a change to one leaves the others alone.
    """
    model = starts.experiment.models[run.model]
    settings: dict[str, object] = {
        "training": starts.training(run).model_dump(exclude_none=True, exclude=set(HOW_ONLY)),
        "initialization": run.initialization,
        "seed": run.seed,
    }
    if run.fold is not None:
        settings["fold"] = run.fold
    if model.overrides:
        settings["overrides"] = model.overrides
    if files := starts.inputs(run):
        settings["weights"] = files[0]
    if run.initialization in TRANSFERRED:
        mapped = class_map_of(starts, run.model)
        settings["source_classes"] = list(mapped.source)
        settings["class_map"] = list(mapped.ids)
    return settings


def settings_that_count(starts: StartingPoints, run: RunKey) -> dict[str, object]:
    """Those settings that decide about a training: of the source's classes not the names."""
    settings = settings_of(starts, run)
    names = settings.get("source_classes")
    return settings | {"source_classes": len(names) if isinstance(names, list) else 0}
