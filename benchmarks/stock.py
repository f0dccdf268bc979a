"""Training and evaluation: ours against `tools/train.py` and `tools/test.py` of MMSegmentation.

Both sides use the same rendered config: model, weights, batch, crop, data and number of processes
that read images. Each side runs in a process of its own, and they take turns of a second. The stock
side is what both tools consist of, `Runner.from_cfg` and then `train` or `test`, as the package is
installed, in float32.

    python benchmarks/stock.py [--models fast_scnn ...]
"""

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from timing import COMPARED, LIBRARY, MODELS
from turns import Ticks, in_turns

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(LIBRARY))

SECONDS = 16  # for which each side trains
# evaluations begin anew, because those of stock differ by a half from process to process
ROUNDS, ROUND_SECONDS = 3, 6
ENOUGH = 5  # notes of a side, at least
FIRST_IMAGES = 20  # of an evaluation, which are not timed
SIDES = ("segbench", "MMSegmentation")
PRECISION = ".precision"  # what our side trained in, beside its config
Sides = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Load:
    """What is computed.

    Attributes:
        size: of the drawn images, height and width.
        crop: height and width.
        batch: images of an iteration.
        train, val: images.
        warm_up: iterations that are not timed.
        every: iterations between two notes.
        readers: processes that read images.
    """

    size: tuple[int, int]
    crop: tuple[int, int]
    batch: int
    train: int
    val: int
    warm_up: int
    every: int
    readers: int

    def __str__(self) -> str:
        return (
            f"images of {self.size[1]}x{self.size[0]}, crop {self.crop[1]}x{self.crop[0]}, batch "
            f"{self.batch}; the sides take turns of a second; each trains for {SECONDS} seconds, "
            f"and evaluates {ROUND_SECONDS} seconds or {self.val - FIRST_IMAGES} images in each of "
            f"{ROUNDS} processes, whose median is given. Mixed precision is timed "
            "as it is after the first 20 iterations"
        )


def load() -> Load:
    """That of this machine: of IDD Lite on a CPU, larger on a GPU."""
    import torch

    if torch.cuda.is_available():
        readers = min(8, (os.cpu_count() or 2) - 1)
        return Load((540, 960), (512, 512), 8, 128, 420, 20, 10, readers)
    return Load((227, 320), (192, 256), 8, 64, 420, 2, 1, 1)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=MODELS, default=COMPARED)
    parser.add_argument("--precision", default="auto", help="of our trainings")
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.job:
        JOBS[words.job.pop("job")](**words.job)
        return
    print(table(measured(words.models, words.precision)))


def measured(models: Sequence[str] = COMPARED, precision: str = "auto") -> dict[str, Sides]:
    """What each side does in a second, by model and side; says each model when it is done."""
    found = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        asked = load()
        draw(folder, asked.size, asked.train, asked.val)
        for model in models:
            found[model] = measure(model, folder, precision)
            print(row(model, found[model]), flush=True)
    return found


def measure(model: str, folder: Path, precision: str) -> Sides:
    """Images per second of a model in training and evaluation, on each side."""
    asked = load()
    config = rendered(
        model, folder / "data/manifest.json", folder / f"{model}.py",
        crop_size=asked.crop, batch_size=asked.batch, max_iters=10**6, precision=precision,
    )  # fmt: skip
    given = {"config": str(config), "weights": str(folder / f"{model}.pth")}

    def rates(*names: str, seconds: float = SECONDS) -> list[float]:
        with tempfile.TemporaryDirectory(dir=folder) as work:
            jobs = {name: {"job": name, **given} for name in names}
            return list(in_turns(__file__, jobs, work, seconds, ENOUGH).values())

    training = rates("training", "ceiling", "stock training")
    ours, ceiling, stock = (asked.batch * rate for rate in training)
    rounds = [rates("evaluation", "stock evaluation", seconds=ROUND_SECONDS) for _ in range(ROUNDS)]
    evaluation, stock_evaluation = map(statistics.median, zip(*rounds, strict=True))
    of_ours: dict[str, Any] = {"training": ours, "ceiling": ceiling, "evaluation": evaluation}
    of_ours["precision"] = config.with_suffix(PRECISION).read_text()
    found = of_ours, {"training": stock, "evaluation": stock_evaluation}
    return dict(zip(SIDES, found, strict=True))


def train(config: str, weights: str, folder: str, ticks: str) -> None:
    """Train as a job of ours does, without an end; the weights of the beginning are kept."""
    with own_trainer(config, folder) as trainer:
        trainer._keep_weights()
        Path(config).with_suffix(PRECISION).write_text(trainer.state.precision)
        os.replace(trainer.work / "best.pth", weights)
        trainer.stepped.train()
        trainer.parts.optim.mixed_from = 0
        done = Ticks(ticks, trainer.device, load().warm_up, load().every)
        while True:
            trainer.step()
            done.tick()


def ceiling(config: str, weights: str, folder: str, ticks: str) -> None:
    """The same step on a batch that is already there."""
    from segbench.engine.optimizers import step_on

    with own_trainer(config, folder) as trainer:
        trainer.stepped.train()
        trainer.parts.optim.mixed_from = 0
        batch = trainer._next_batch()
        done = Ticks(ticks, trainer.device, load().warm_up, load().every)
        while True:
            step_on(trainer.stepped, batch, trainer.parts.optim)
            done.tick()


def evaluate(config: str, weights: str, folder: str, ticks: str) -> None:
    """Evaluate as a job of ours does."""
    from segbench.engine import evaluate
    from segbench.engine.evaluation_files import EvaluationFiles

    images, work = Ticks(ticks, first=FIRST_IMAGES), Path(folder)

    class Ticking(evaluate.Pulse):
        def note(self, *arguments: object, **more: object) -> None:  # type: ignore[override]
            images.tick()

    files = EvaluationFiles(work / "c.npz", work / "m.json", work / "p.npz")
    with mock.patch.object(evaluate, "Pulse", Ticking):
        evaluate.evaluate(Path(config), Path(weights), files, ready())


def stock_training(config: str, weights: str, folder: str, ticks: str) -> None:
    """Train as `tools/train.py` does, without an end."""
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    done = Ticks(ticks, device(), load().warm_up, load().every)

    class Noting(Hook):  # type: ignore[misc]
        def after_train_iter(self, *arguments: object, **more: object) -> None:
            done.tick()

    loaded = for_stock(config, folder)
    loaded.train_cfg.update(val_interval=10**7)
    runner = Runner.from_cfg(loaded)
    runner.register_hook(Noting())
    runner.train()


def stock_evaluation(config: str, weights: str, folder: str, ticks: str) -> None:
    """Evaluate as `tools/test.py` does."""
    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    images = Ticks(ticks, device(), FIRST_IMAGES)

    class Noting(Hook):  # type: ignore[misc]
        def after_test_iter(self, *arguments: object, **more: object) -> None:
            images.tick()

    loaded = for_stock(config, folder)
    loaded.load_from = weights
    tester = Runner.from_cfg(loaded)
    tester.register_hook(Noting())
    tester.test()


JOBS = {
    "training": train,
    "ceiling": ceiling,
    "evaluation": evaluate,
    "stock training": stock_training,
    "stock evaluation": stock_evaluation,
}


def device() -> str:
    """Where both sides compute."""
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


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

    from segbench.engine.shortcuts.take import leave_out_accuracies
    from segbench.system.allocator import keep_freed_memory

    keep_freed_memory()
    leave_out_accuracies()
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


def draw(folder: Path, size: tuple[int, int], train: int, val: int) -> None:
    """Draw and prepare a dataset of so many images of a height and width."""
    from segbench.datasets.description import load_description
    from segbench.datasets.prepare import prepare
    from segbench.demo.dataset import draw_dataset

    workers = os.cpu_count() or 1
    draw_dataset(folder / "source", "urban", train, val, size, workers=workers)
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


def row(model: str, one: Sides) -> str:
    """The figures of a model as a row of a table."""
    ours, stock = (one[side] for side in SIDES)
    cells = [
        ours["precision"], f"{ours['training']:.2f}", f"{stock['training']:.2f}",
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
        "| model | trains in | images/s | stock | times | of the ceiling | evaluation, images/s "
        "| stock | times |",
        "|:--|:--|--:|--:|--:|--:|--:|--:|--:|",
        *(row(model, one) for model, one in models.items()),
        "",
        f"Geometric mean: training **{means['training']:.2f}** times, evaluation "
        f"**{means['evaluation']:.2f}** times as many images per second. Protocol: {load()}.",
    ])  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
