"""Training and evaluation: ours against `tools/train.py` and `tools/test.py` of MMSegmentation.

Both sides use the same rendered config: model, weights, batch, crop, data, iterations and number of
processes that read images. Each side runs in a process of its own, in turns with the other; the
medians of the rounds are compared. The stock side is what both tools consist of, `Runner.from_cfg`
and then `train` or `test`, as the package is installed, in float32.

    python benchmarks/stock.py [--models fast_scnn ...]
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from timing import COMPARED, LIBRARY, MODELS, started

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(LIBRARY))

ROUNDS = 3  # times that each side is measured
FIRST_IMAGES = 20  # of an evaluation, which are not timed
SIDES = ("segbench", "MMSegmentation")
Sides = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Load:
    """What is computed.

    Attributes:
        size: of the drawn images, height and width.
        crop: height and width.
        batch: images of an iteration.
        train, val: images.
        warm_up, timed: iterations.
        readers: processes that read images.
    """

    size: tuple[int, int]
    crop: tuple[int, int]
    batch: int
    train: int
    val: int
    warm_up: int
    timed: int
    readers: int

    def __str__(self) -> str:
        return (
            f"images of {self.size[1]}x{self.size[0]}, crop {self.crop[1]}x{self.crop[0]}, batch "
            f"{self.batch}, {self.timed} iterations, {self.val - FIRST_IMAGES} images evaluated, "
            f"medians of {ROUNDS} rounds"
        )


def load() -> Load:
    """That of this machine: of IDD Lite on a CPU, larger on a GPU."""
    import torch

    if torch.cuda.is_available():
        readers = min(8, (os.cpu_count() or 2) - 1)
        return Load((540, 960), (512, 512), 8, 128, 220, 20, 60, readers)
    return Load((227, 320), (192, 256), 8, 64, 60, 2, 6, 1)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=COMPARED)
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.job:
        print("MEASURED", json.dumps(JOBS[words.job.pop("job")](**words.job)))
        return
    print(table(measured(words.models)))


def measured(models: Sequence[str] = COMPARED) -> dict[str, Sides]:
    """What each side does in a second, by model and side; says each model when it is done."""
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        draw(folder)
        for model in models:
            found[model] = measure(model, folder)
            print(row(model, found[model]), flush=True)
    return found


def measure(model: str, folder: Path) -> dict[str, dict[str, float]]:
    """Images per second of a model in training and evaluation, on each side."""
    asked = load()
    config = rendered(
        model, folder / "data/manifest.json", folder / f"{model}.py",
        crop_size=asked.crop, batch_size=asked.batch, max_iters=1000,
    )  # fmt: skip
    weights = folder / f"{model}.pth"
    results: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for _ in range(ROUNDS):
        for side in SIDES:
            results[side].append(
                started(
                    __file__,
                    job=side,
                    config=str(config),
                    weights=str(weights),
                    folder=str(folder),
                )
            )
    return {
        side: {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        for side, rounds in results.items()
    }


def of_segbench(config: str, weights: str, folder: str) -> dict[str, float]:
    """Training, evaluation, and the ceiling: the same step on a batch that is already there."""
    from segbench.engine import evaluate
    from segbench.engine.evaluation_files import EvaluationFiles
    from segbench.engine.optimizers import step_on

    asked, threads = load(), ready()
    with own_trainer(config, folder) as trainer:
        device, work = trainer.device, trainer.work
        trainer.stepped.train()
        clock = Clock(device, asked.warm_up, asked.timed)
        for _ in range(asked.warm_up + asked.timed):
            trainer.step()
            clock.tick()
        batch = trainer._next_batch()
        ceiling = Clock(device, asked.warm_up, asked.timed)
        for _ in range(asked.warm_up + asked.timed):
            step_on(trainer.stepped, batch, trainer.parts.optim)
            ceiling.tick()
        trainer._keep_weights()
        os.replace(work / "best.pth", weights)
    del trainer, batch
    files = EvaluationFiles(work / "c.npz", work / "m.json", work / "p.npz")
    images = Clock("cpu", FIRST_IMAGES, asked.val - FIRST_IMAGES)

    class Ticking(evaluate.Pulse):
        def note(self, *arguments: object, **more: object) -> None:  # type: ignore[override]
            images.tick()

    with mock.patch.object(evaluate, "Pulse", Ticking):
        evaluate.evaluate(Path(config), Path(weights), files, threads)
    return {
        "training": asked.batch / clock.seconds(),
        "ceiling": asked.batch / ceiling.seconds(),
        "evaluation": 1 / images.seconds(),
    }


def of_mmsegmentation(config: str, weights: str, folder: str) -> dict[str, float]:
    """Training as `tools/train.py`, evaluation as `tools/test.py`."""
    import torch
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    asked = load()
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    clock = Clock(device, asked.warm_up, asked.timed)
    images = Clock(device, FIRST_IMAGES, asked.val - FIRST_IMAGES)

    class Timer(Hook):  # type: ignore[misc]
        def after_train_iter(self, *arguments: object, **more: object) -> None:
            clock.tick()

        def after_test_iter(self, *arguments: object, **more: object) -> None:
            images.tick()

    loaded = for_stock(config, folder)
    loaded.train_cfg.update(max_iters=asked.warm_up + asked.timed, val_interval=10**6)
    runner = Runner.from_cfg(loaded)
    runner.register_hook(Timer())
    runner.train()
    del runner
    loaded.load_from = weights
    loaded.experiment_name = "test"
    tester = Runner.from_cfg(loaded)
    tester.register_hook(Timer())
    tester.test()
    return {"training": asked.batch / clock.seconds(), "evaluation": 1 / images.seconds()}


@contextlib.contextmanager
def own_trainer(config: str, folder: str) -> Iterator[Any]:
    """Our trainer of a config, in a process that is as ready as a job of ours."""
    from segbench.engine.build import load_config
    from segbench.engine.devices import lease_device
    from segbench.engine.execution import Execution
    from segbench.engine.trainer import Trainer
    from segbench.system.stop import StopRequest

    execution = Execution(threads=ready())
    with lease_device() as device, StopRequest() as stop:
        work = Path(tempfile.mkdtemp(dir=folder)) / "run"
        work.mkdir()
        yield Trainer(load_config(Path(config)), device, work, execution, stop)


def ready() -> int:
    """Make this process as ready as a job of ours is; returns its threads."""
    import torch

    from segbench.system.allocator import keep_freed_memory

    keep_freed_memory()
    asked = load()
    # on a CPU all cores, of which one also reads images
    threads = (os.cpu_count() or 1) if asked.readers == 1 else asked.readers + 1
    torch.set_num_threads(threads)
    return threads


def for_stock(config: str, folder: str) -> Any:
    """A rendered config as MMEngine's runner takes it; no checkpoint is written."""
    from mmengine.config import Config

    from segbench.engine.trust import trust_nothing  # noqa: F401  the sampler of the config

    loaded = Config.fromfile(config)
    loaded.work_dir = tempfile.mkdtemp(dir=folder)
    # as many processes read images as on our side
    for name in ("train", "val", "test"):
        loaded[f"{name}_dataloader"].num_workers = load().readers
    loaded.default_hooks.checkpoint.interval = 10**9
    return loaded


JOBS = {"segbench": of_segbench, "MMSegmentation": of_mmsegmentation}


class Clock:
    """Notes when iterations end.

    Args:
        device: is waited for where the time is taken, so that what is measured is done.
        first: iterations that are not timed.
        timed: those that are.
    """

    def __init__(self, device: str, first: int, timed: int) -> None:
        self.device, self.first, self.last = device, first, first + timed
        self.count, self.began, self.ended = 0, 0.0, 0.0

    def tick(self) -> None:
        """An iteration is done."""
        self.count += 1
        if self.count not in (self.first, self.last):
            return
        if self.device != "cpu":
            import torch

            torch.cuda.synchronize()
        self.began, self.ended = self.ended, time.perf_counter()

    def seconds(self) -> float:
        """Of an iteration, the mean of the timed ones."""
        return (self.ended - self.began) / (self.last - self.first)


def draw(folder: Path) -> None:
    """Draw and prepare a dataset of the size of IDD Lite's images."""
    from segbench.datasets.description import load_description
    from segbench.datasets.prepare import prepare
    from segbench.demo.dataset import draw_dataset

    asked, workers = load(), os.cpu_count() or 1
    draw_dataset(folder / "source", "urban", asked.train, asked.val, asked.size, workers=workers)
    description = load_description(ROOT / "config/datasets/demo_urban.yaml")
    prepare(description, folder / "source", folder / "data", workers)


def rendered(model: str, manifest: Path, path: Path, seed: int = 0, **training: object) -> Path:
    """Write the config of a training of a model on a prepared dataset."""
    from segbench.config.training import Training
    from segbench.recipe.context import Recipe
    from segbench.recipe.render import render
    from segbench.zoo.names import config_path

    recipe = Recipe(
        training=Training.model_validate(training), run=f"{model}/scratch/seed{seed}",
        initialization="scratch", seed=seed,
    )  # fmt: skip
    path.write_text(render(config_path(MODELS[model]), manifest, recipe))
    return path


def ratios(models: dict[str, Sides], key: str) -> list[float]:
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


def table(models: dict[str, Sides]) -> str:
    """All figures in Markdown."""
    means = {
        key: statistics.geometric_mean(ratios(models, key)) for key in ("training", "evaluation")
    }
    return "\n".join([
        "| model | training, images/s | stock | times | of the ceiling | evaluation, images/s "
        "| stock | times |",
        "|:--|--:|--:|--:|--:|--:|--:|--:|",
        *(row(model, one) for model, one in models.items()),
        "",
        f"Geometric mean: training **{means['training']:.2f}** times, evaluation "
        f"**{means['evaluation']:.2f}** times as many images per second. Protocol: {load()}.",
    ])  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
