"""How the classes that a source checkpoint predicts belong to those of the target.

A checkpoint's classes are those of the source dataset, of the zoo config, or, where the checkpoint
is a run's own, of that run.
"""

from segbench.config.class_maps import ClassMap, class_map
from segbench.datasets.description import DatasetDescription
from segbench.plan.own_runs import classes_of_run
from segbench.plan.starts import StartingPoints
from segbench.zoo import pretrained


def class_map_of(starts: StartingPoints, model: str) -> ClassMap:
    """How the classes of a model's source checkpoint belong to those of the target.

    Raises:
        ConfigError: a name is unknown, or no class has a counterpart.
    """
    settings = starts.experiment.models[model]
    given = starts.experiment.class_map if settings.class_map is None else settings.class_map
    return class_map(_source(starts, model), _names(starts.target), given, *starts.folders)


def _source(starts: StartingPoints, model: str) -> tuple[str, ...]:
    if starts.source is not None:
        return _names(starts.source)
    settings = starts.experiment.models[model]
    own = settings.checkpoint and classes_of_run(settings.checkpoint.file)
    return own or pretrained.classes_of_checkpoint(settings.config)


def _names(description: DatasetDescription) -> tuple[str, ...]:
    return tuple(found.name for found in description.classes.classes)
