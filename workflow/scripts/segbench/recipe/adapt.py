"""Turn any config of the model zoo into one that trains on a prepared dataset, with no hand edit.

Everything that must agree is derived: the number of classes in every head, normalisation for one
device, class weights that no longer fit, crop and preprocessor size, pipelines, data, schedule
and seed. What was changed is said in the config itself (`segbench.adaptations`). The outcome is
an ordinary MMSegmentation config.
"""

from mmengine.config import Config

from segbench.recipe import data, model, schedule
from segbench.recipe.context import Adaptation
from segbench.recipe.growing_crop import fit_growing_crop
from segbench.recipe.section import RunSection, SourceCheckpoint


def record(run: Adaptation) -> None:
    """Seed, modules to import, and the section that says what the run is."""
    run.config.randomness = {"seed": run.recipe.seed}
    run.config.load_from, run.config.resume = None, False
    published = (run.config.get("custom_imports") or {}).get("imports") or []
    published = [published] if isinstance(published, str) else list(published)
    run.config.custom_imports = {
        "imports": [*published, "segbench.engine.dataset"],
        "allow_failed_imports": False,
    }
    run.config.segbench = _section(run).as_config()


def _section(run: Adaptation) -> RunSection:
    recipe, source = run.recipe, None
    if recipe.source_classes and recipe.weights is not None:
        source = SourceCheckpoint(
            checkpoint=recipe.weights,
            classes=tuple(recipe.source_classes),
            class_map=tuple(recipe.class_map),
        )
    return RunSection(
        run=recipe.run,
        initialization=recipe.initialization,
        dataset=run.manifest.name,
        crop_size=run.crop,
        batch_size=run.batch,
        adaptations=tuple(run.notes),
        early_stopping=run.training.early_stopping,
        precision=run.training.precision or "auto",
        deterministic=bool(run.training.deterministic),
        compile=bool(run.training.compile),
        ema=run.training.ema,
        growing_crop=run.training.grows_from if run.is_trained else None,
        source=source,
    )


# in an order in which none undoes another
STEPS = (
    model.fit_classes,
    model.normalise_on_one_device,
    model.drop_published_weights,
    model.fit_crop,
    model.keep_share_of_hard_examples,
    data.read_prepared_data,
    fit_growing_crop,
    schedule.set_precision,
    schedule.scale_learning_rate,
    schedule.scale_schedule,
    record,
)


def adapt(run: Adaptation) -> Config:
    """Apply every step.

    Raises:
        ModelError: the config cannot be adapted to the dataset.
    """
    for step in STEPS:
        step(run)
    return run.config
