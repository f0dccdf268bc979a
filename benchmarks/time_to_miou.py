"""How long a training takes to the mean IoU that MMSegmentation's own reaches at its end.

Both sides train from random weights on the same prepared dataset with the same rendered config:
model, batch, crop, schedule, seed, and validations after the same iterations. The clock runs from
the first iteration, and validations count. Each side has a process of its own.

    python benchmarks/time_to_miou.py results/datasets/idd_lite/manifest.json [--iterations 400]

With `--ours '{"growing_crop": 0.5}'` our side is trained with keys of `training` that the other
does not know, such as `ema`. With `--alone` the other is not trained.
"""

import json
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from stock import for_stock, own_trainer, rendered
from timing import parser_of_trainings, started

VALIDATIONS = 8
SIDES = ("MMSegmentation", "segbench")
Points = list[tuple[float, float]]  # seconds since the first iteration, mean IoU


def main() -> None:
    """Train, and print a table."""
    parser = parser_of_trainings(__doc__.splitlines()[0], iterations=400, crop=(192, 256))
    parser.add_argument("--ours", type=json.loads, default={}, help="keys that stock does not know")
    parser.add_argument("--alone", action="store_true", help="train our side alone")
    words = parser.parse_args()
    if words.job:
        print("MEASURED", json.dumps(JOBS[words.job.pop("side")](**words.job)))
        return
    if words.manifest is None:
        parser.error("name the manifest.json of a prepared dataset")
    gains = []
    if not words.alone:
        print("| model | stock: mean IoU | in | segbench: as good in | times | at its end | in |")
        print("|:--|--:|--:|--:|--:|--:|--:|")
    for model in words.models:
        with tempfile.TemporaryDirectory() as folder:
            config = rendered(
                model, words.manifest.resolve(), Path(folder) / "config.py",
                crop_size=words.crop, batch_size=words.batch, max_iters=words.iterations,
                val_interval=max(1, words.iterations // VALIDATIONS), **words.ours,
            )  # fmt: skip
            if words.alone:
                print(model, scores(started(__file__, folder, side=SIDES[1], config=str(config))))
                continue
            stock, ours = (
                started(__file__, folder, side=side, config=str(config)) for side in SIDES
            )
        line, gain = row(model, stock, ours)
        gains.append(gain)
        print(line, flush=True)
    if words.alone:
        return
    reached = [gain for gain in gains if gain]
    mean = f"{statistics.geometric_mean(reached):.2f} times" if reached else "none"
    print(f"\nGeometric mean of the {len(reached)} that were as good: {mean}. Protocol: {words}.")


def of_segbench(config: str, folder: str) -> Points:
    """Seconds and mean IoU at each validation of ours."""
    points = Points()
    with own_trainer(config, folder) as trainer:
        validate = trainer.validate

        def timed() -> None:
            validate()
            points.append((time.perf_counter() - began, trainer.state.history[-1]["val_miou"]))

        trainer.validate = timed
        began = time.perf_counter()
        trainer.train()
    return points


def of_mmsegmentation(config: str, folder: str) -> Points:
    """Seconds and mean IoU at each validation of `tools/train.py`."""
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    points, began = Points(), [0.0]

    class Timer(Hook):  # type: ignore[misc]
        def before_train(self, runner: Runner) -> None:
            began[0] = time.perf_counter()

        def after_val_epoch(self, runner: Runner, metrics: dict[str, Any]) -> None:
            points.append((time.perf_counter() - began[0], float(metrics["mIoU"]) / 100))

    loaded = for_stock(config, folder)
    loaded.default_hooks.checkpoint.pop("save_best", None)
    runner = Runner.from_cfg(loaded)
    runner.register_hook(Timer())
    runner.train()
    return points


JOBS = {"segbench": of_segbench, "MMSegmentation": of_mmsegmentation}


def scores(points: Points) -> str:
    """Each validation in words."""
    return ", ".join(f"{100 * score:.1f} % after {taken:.0f} s" for taken, score in points)


def row(model: str, stock: Points, ours: Points) -> tuple[str, float | None]:
    """A row of the table, and how many times as soon ours is as good, None if it never is."""
    (end, goal), (own_end, own_score) = stock[-1], ours[-1]
    reached = next((taken for taken, score in ours if score >= goal), None)
    soon = f"{reached:.0f} s" if reached else "never"
    gain = end / reached if reached else None
    times = f"{gain:.2f}" if gain else ""
    return (
        f"| {model} | {100 * goal:.1f} % | {end:.0f} s | {soon} | {times} | "
        f"{100 * own_score:.1f} % | {own_end:.0f} s |"
    ), gain


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
