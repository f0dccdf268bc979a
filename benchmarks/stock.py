"""Training and evaluation: ours against `tools/train.py` and `tools/test.py` of MMSegmentation.

Both sides use the same rendered config: model, weights, batch, crop, data, iterations and number of
processes that read images. Each side runs in a process of its own, in turns with the other; the
medians of the rounds are compared. The stock side is what both tools consist of, `Runner.from_cfg`
and then `train` or `test`, as the package is installed, in float32.

    python benchmarks/stock.py [--models fast_scnn ...]
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from timing import MODELS

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow/scripts"))

# of the drawn images and the crops, height and width; of IDD Lite
SIZE, CROP, BATCH = (227, 320), (192, 256), 8
TRAIN, VAL = 64, 100  # images
WARM_UP, TIMED, ROUNDS = 2, 8, 3  # iterations, and times that each side is measured
SIDES = ("segbench", "MMSegmentation")


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.job:
        print("MEASURED", json.dumps(JOBS[words.job.pop("job")](**words.job)))
        return
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        draw(folder)
        for model in words.models:
            found[model] = measure(model, folder)
            print(row(model, found[model]), flush=True)
    said = {"machine": machine(), "date": datetime.now(UTC).date().isoformat(), "models": found}
    print(table(said))


def measure(model: str, folder: Path) -> dict[str, dict[str, float]]:
    """Images per second of a model in training and evaluation, on each side."""
    config = rendered(model, folder)
    weights = folder / f"{model}.pth"
    results: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(ROUNDS):
        for side in SIDES:
            results[side].append(
                started(job=side, config=str(config), weights=str(weights), folder=str(folder))
            )
    return {
        side: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for side, rounds in results.items()
    }


def started(**job: str) -> dict[str, float]:
    """What a side measures in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, "--job", json.dumps(job)],
        capture_output=True, text=True, check=False, cwd=job["folder"],
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow/scripts")},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{job}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    measured: dict[str, float] = json.loads(done.stdout.rpartition("MEASURED")[2])
    return measured


def of_segbench(config: str, weights: str, folder: str) -> dict[str, float]:
    """Training, evaluation, and the ceiling: the same step on a batch that is already there."""
    import torch

    from segbench.engine.build import load_config
    from segbench.engine.devices import lease_device
    from segbench.engine.evaluate import evaluate
    from segbench.engine.evaluation_files import EvaluationFiles
    from segbench.engine.execution import Execution
    from segbench.engine.optimizers import step_on
    from segbench.engine.trainer import Trainer
    from segbench.system.allocator import keep_freed_memory
    from segbench.system.stop import StopRequest

    keep_freed_memory()
    threads = os.cpu_count() or 1
    torch.set_num_threads(threads)
    with lease_device() as device, StopRequest() as stop:
        work = Path(tempfile.mkdtemp(dir=folder)) / "run"
        work.mkdir()
        trainer = Trainer(load_config(Path(config)), device, work, Execution(threads=threads), stop)
        trainer.stepped.train()
        clock = Clock(device)
        for _ in range(WARM_UP + TIMED):
            trainer.step()
            clock.tick()
        batch = trainer._next_batch()
        ceiling = Clock(device)
        for _ in range(WARM_UP + TIMED):
            step_on(trainer.stepped, batch, trainer.parts.optim)
            ceiling.tick()
        trainer._keep_weights()
        os.replace(work / "best.pth", weights)
    del trainer, batch
    files = EvaluationFiles(work / "c.npz", work / "m.json", work / "p.npz")
    began = time.perf_counter()
    evaluate(Path(config), Path(weights), files, threads)
    return {
        "training": BATCH / clock.seconds(),
        "ceiling": BATCH / ceiling.seconds(),
        "evaluation": VAL / (time.perf_counter() - began),
    }


def of_mmsegmentation(config: str, weights: str, folder: str) -> dict[str, float]:
    """Training as `tools/train.py`, evaluation as `tools/test.py`."""
    import torch
    from mmengine.config import Config
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    from segbench.engine.trust import trust_nothing  # noqa: F401  the sampler of the config

    clock = Clock("cuda:0" if torch.cuda.is_available() else "cpu")

    class Timer(Hook):  # type: ignore[misc]
        def after_train_iter(self, *arguments: object, **more: object) -> None:
            clock.tick()

    loaded = Config.fromfile(config)
    loaded.work_dir = tempfile.mkdtemp(dir=folder)
    loaded.train_cfg.update(max_iters=WARM_UP + TIMED, val_interval=10**6)
    # one process reads images, as on our side
    for name in ("train", "val", "test"):
        loaded[f"{name}_dataloader"].num_workers = 1
    loaded.default_hooks.checkpoint.interval = 10**6
    runner = Runner.from_cfg(loaded)
    runner.register_hook(Timer())
    runner.train()
    del runner
    loaded.load_from = weights
    loaded.experiment_name = "test"
    began = time.perf_counter()
    Runner.from_cfg(loaded).test()
    return {
        "training": BATCH / clock.seconds(),
        "evaluation": VAL / (time.perf_counter() - began),
    }


JOBS = {"segbench": of_segbench, "MMSegmentation": of_mmsegmentation}


class Clock:
    """Notes when iterations end.

    Args:
        device: is waited for at each tick, so that what is measured is done.
    """

    def __init__(self, device: str) -> None:
        self.device, self.ticks = device, list[float]()

    def tick(self) -> None:
        """An iteration is done."""
        if self.device != "cpu" and len(self.ticks) in (WARM_UP - 1, WARM_UP + TIMED - 1):
            import torch

            torch.cuda.synchronize()
        self.ticks.append(time.perf_counter())

    def seconds(self) -> float:
        """Of an iteration, the mean of those after the first ones."""
        return (self.ticks[-1] - self.ticks[WARM_UP - 1]) / (len(self.ticks) - WARM_UP)


def draw(folder: Path) -> None:
    """Draw and prepare a dataset of the size of IDD Lite's images."""
    from segbench.datasets.description import load_description
    from segbench.datasets.prepare import prepare
    from segbench.demo.dataset import draw_dataset

    workers = os.cpu_count() or 1
    draw_dataset(folder / "source", "urban", TRAIN, VAL, SIZE, workers=workers)
    description = load_description(ROOT / "config/datasets/demo_urban.yaml")
    prepare(description, folder / "source", folder / "data", workers)


def rendered(model: str, folder: Path) -> Path:
    """The config of a training of a model on the drawn dataset."""
    from segbench.config.training import Training
    from segbench.recipe.context import Recipe
    from segbench.recipe.render import render
    from segbench.zoo.names import config_path

    training = Training.model_validate({"crop_size": CROP, "batch_size": BATCH, "max_iters": 1000})
    recipe = Recipe(
        training=training, run=f"{model}/scratch/seed0", initialization="scratch", seed=0
    )
    path = folder / f"{model}.py"
    path.write_text(render(config_path(MODELS[model]), folder / "data/manifest.json", recipe))
    return path


def machine() -> str:
    """What it was measured on."""
    import torch

    from segbench.engine.precision import _processor

    cores = f"{os.cpu_count()} cores of {_processor()}"
    gpu = f"{torch.cuda.get_device_name()}, " if torch.cuda.is_available() else ""
    return f"{gpu}{cores}, PyTorch {torch.__version__}, Python {platform.python_version()}"


def ratios(models: dict[str, Any], key: str) -> list[float]:
    """How many times as fast ours is, by model."""
    ours, stock = SIDES
    return [one[ours][key] / one[stock][key] for one in models.values()]


def row(model: str, one: dict[str, dict[str, float]]) -> str:
    """The figures of a model as a row of a table."""
    ours, stock = (one[side] for side in SIDES)
    cells = [
        f"{ours['training']:.2f}", f"{stock['training']:.2f}",
        f"{ours['training'] / stock['training']:.2f}",
        f"{100 * ours['training'] / ours['ceiling']:.0f} %",
        f"{ours['evaluation']:.1f}", f"{stock['evaluation']:.1f}",
        f"{ours['evaluation'] / stock['evaluation']:.2f}",
    ]  # fmt: skip
    return f"| {model} | {' | '.join(cells)} |"


def table(said: dict[str, Any]) -> str:
    """All figures in Markdown."""
    models = said["models"]
    means = {
        key: statistics.geometric_mean(ratios(models, key)) for key in ("training", "evaluation")
    }
    return "\n".join([
        f"{said['machine']}; {said['date']}; images of {SIZE[1]}x{SIZE[0]}, crop "
        f"{CROP[1]}x{CROP[0]}, batch {BATCH}, {TIMED} iterations and {VAL} images, medians of "
        f"{ROUNDS} rounds. "
        f"Geometric mean: training **{means['training']:.2f}** times, evaluation "
        f"**{means['evaluation']:.2f}** times as many images per second.",
        "",
        "| model | training images/s | stock | times | of the ceiling | evaluation images/s "
        "| stock | times |",
        "|:--|--:|--:|--:|--:|--:|--:|--:|",
        *(row(model, one) for model, one in models.items()),
    ])  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
