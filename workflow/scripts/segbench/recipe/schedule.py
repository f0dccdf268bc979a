"""How a run learns: learning rate, precision, schedule and length."""

import math

from segbench.recipe.context import Adaptation
from segbench.recipe.growing_crop import share_of_pixels
from segbench.zoo.reader import published_iters
from segbench.zoo.tree import Node

# ends of schedules, in iterations or epochs, that scale with the length of the training
SCHEDULE_KEYS = ("begin", "end", "T_max", "total_iters", "step_size")
# how many validations a training has by default: as many as take about this share of its time, a
# step with its gradients costing as much as three predictions of the same pixels
FEWEST_VALIDATIONS, MOST_VALIDATIONS = 3, 10
VALIDATION_SHARE = 0.1
STEP_COSTS = 3
# bfloat16 has the range of float32, so its loss needs no scale; that of float16 is found as it goes
LOSS_SCALES: dict[str, float | str] = {"bfloat16": 1.0, "float16": "dynamic"}


def set_precision(run: Adaptation) -> None:
    """The precision that was asked for; where none was, it is decided where the run is trained."""
    wrapper, wanted = run.config.optim_wrapper, run.training.precision or "auto"
    if wanted in LOSS_SCALES:
        wrapper.update(type="AmpOptimWrapper", dtype=wanted, loss_scale=LOSS_SCALES[wanted])
        run.note(f"mixed precision: {wanted} in training, float32 in every score")
        return
    if wanted == "auto":
        run.note("precision: mixed where the device is clearly faster in it, else float32")
    if wrapper.get("type") == "AmpOptimWrapper":
        wrapper["type"] = "OptimWrapper"
        wrapper.pop("loss_scale", None)
        wrapper.pop("dtype", None)
        run.note("mixed precision of the zoo config replaced")


def scale_learning_rate(run: Adaptation) -> None:
    """The published rate by the linear rule, or the one that was asked for."""
    optimizer = run.config.optim_wrapper.optimizer
    published = float(optimizer.lr)
    if run.training.learning_rate is not None:
        optimizer.lr = run.training.learning_rate
        run.note(f"learning rate: {published:g} -> {optimizer.lr:g} (set in the config)")
    elif run.published_batch != run.batch:
        optimizer.lr = published * run.batch / run.published_batch
        run.note(
            f"learning rate: {published:g} -> {optimizer.lr:g} "
            f"(linear rule, batch {run.published_batch} -> {run.batch})"
        )


def scale_schedule(run: Adaptation) -> None:
    """The published schedule, as long as this run."""
    published = published_iters(run.config)
    factor = run.iters / published
    schedulers = run.config.get("param_scheduler") or []
    schedulers = schedulers if isinstance(schedulers, list) else [schedulers]
    _floor_of_rate(run, schedulers)
    for scheduler in schedulers:
        for key in SCHEDULE_KEYS:
            if isinstance(scheduler.get(key), int):
                scheduler[key] = round(scheduler[key] * factor)
        if scheduler.get("milestones"):
            scheduler["milestones"] = [round(m * factor) for m in scheduler["milestones"]]
    # MMEngine never leaves the start factor of a warm-up of fewer than two iterations
    run.config.param_scheduler = [
        s for s in schedulers if "end" not in s or s["end"] >= s.get("begin", 0) + 2
    ]
    if run.iters != published:
        run.note(f"schedule: {published} -> {run.iters} iterations, warm-up scaled alike")
    interval = run.training.validations_every or math.ceil(run.iters / _validations(run))
    run.config.train_cfg = {
        "type": "IterBasedTrainLoop",
        "max_iters": run.iters,
        "val_interval": min(interval, run.iters),
    }
    run.config.val_cfg = {"type": "ValLoop"}
    run.config.test_cfg = {"type": "TestLoop"}
    hooks = run.config.get("default_hooks") or {}
    if "checkpoint" in hooks:
        hooks["checkpoint"]["interval"] = min(interval, run.iters)


def _validations(run: Adaptation) -> int:
    """How many validations a training has by default: a short one has fewer."""
    height, width = run.training.image_size or run.manifest.common_size
    images = run.manifest.splits["val"].images
    if run.recipe.fold is not None:
        images = run.manifest.folds[run.recipe.fold].val
    pixels = share_of_pixels(run) * run.iters * run.batch * run.crop[0] * run.crop[1]
    affordable = int(VALIDATION_SHARE * STEP_COSTS * pixels / max(1, images * height * width))
    return min(max(affordable, FEWEST_VALIDATIONS), MOST_VALIDATIONS)


def _floor_of_rate(run: Adaptation, schedulers: list[Node]) -> None:
    """Keep the shape of the schedule: its lowest rate scales with its highest."""
    scale = float(run.config.optim_wrapper.optimizer.lr) / run.published_rate
    if scale == 1 or "param_scheduler" in (run.recipe.overrides or {}):
        return
    for scheduler in schedulers:
        if scheduler.get("eta_min"):
            old, scheduler["eta_min"] = scheduler["eta_min"], scheduler["eta_min"] * scale
            run.note(f"eta_min: {old:g} -> {scheduler['eta_min']:.3g} (with the rate)")
