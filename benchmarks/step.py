"""One training step on a batch that is already there: what each way to compute it takes.

The ceiling of a training's speed on a device. Every way is tried in turns with the others, in one
process, and the medians are printed:

    python benchmarks/step.py [--device cuda:0] [--batch 16] [--crop 224 320] [--compiled] [MODEL]
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from timing import MODELS

from segbench.config.training import Training
from segbench.datasets.manifest import Manifest
from segbench.engine.build import build_model, load_config
from segbench.engine.compiled import compile_network
from segbench.engine.devices import device_name
from segbench.engine.optimizers import build_optimizer
from segbench.engine.shortcuts.take import leave_out_accuracies, take_shortcuts
from segbench.recipe.context import Recipe
from segbench.recipe.render import render
from segbench.zoo.names import config_path

CLASSES = 7
WARM_UP, ROUNDS, STEPS = 3, 5, 4
ADAMW = {
    "optim_wrapper": {
        "optimizer": {"_delete_": True, "type": "AdamW", "lr": 1e-4, "weight_decay": 0.01}
    }
}


def rendered(model: str, crop: tuple[int, int], batch: int, precision: str) -> Path:
    """The config of a run of a model."""
    folder = Path(tempfile.mkdtemp())
    counts = {
        "images": 99, "groups": 1, "class_pixels": [100] * CLASSES, "class_images": [9] * CLASSES,
        "pixels_where_seen": [1000] * CLASSES, "ignored_pixels": 0, "brightness": 0.5,
    }  # fmt: skip
    names = [{"name": f"class {i}", "color": [i, i, i]} for i in range(CLASSES)]
    content = {
        "name": "random", "classes": names, "image_sizes": [[*crop, 99]],
        "splits": {"train": counts, "val": counts},
    }  # fmt: skip
    Manifest.model_validate(content).write(folder / "manifest.json")
    training = Training.model_validate(
        {"crop_size": crop, "batch_size": batch, "max_iters": 100, "precision": precision}
    )
    wanted = Recipe(
        training=training, run="m/scratch/seed0", initialization="scratch", seed=0, overrides=ADAMW
    )
    (folder / "config.py").write_text(
        render(config_path(MODELS[model]), folder / "manifest.json", wanted)
    )
    return folder / "config.py"


class Way:
    """One way to compute the training step of a model."""

    def __init__(
        self, model: str, crop: tuple[int, int], batch: int, device: str,
        precision: str = "float32", tf32: bool = False, channels_last: bool = False,
        fused: bool = False, compiled: bool = False, shortcuts: bool = False,
    ) -> None:  # fmt: skip
        config = load_config(rendered(model, crop, batch, precision))
        built, _ = build_model(config, 0)
        self.model: BaseModel = built.to(device).train()  # type: ignore[assignment]
        if shortcuts:
            take_shortcuts(self.model)
        if channels_last:
            self.model.to(memory_format=torch.channels_last)
        if fused:
            config.optim_wrapper.optimizer.fused = True
        self.optim: OptimWrapper = build_optimizer(self.model, config)
        if compiled:
            threads = torch.get_num_threads()
            compile_network(self.model, Path(tempfile.mkdtemp()), threads)
        self.device, self.tf32 = device, tf32
        random = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (batch, 3, *crop), generator=random, dtype=torch.uint8)
        self.labels = torch.randint(0, CLASSES, (batch, 1, *crop), generator=random)

    def step(self) -> None:
        """Forward, backward, optimizer."""
        torch.backends.cuda.matmul.allow_tf32 = self.tf32
        torch.backends.cudnn.allow_tf32 = self.tf32
        samples = [
            SegDataSample(
                gt_sem_seg=PixelData(data=label),
                gt_edge_map=PixelData(data=label == 0),  # what PIDNet asks for beside the label
                metainfo={"img_shape": tuple(label.shape[-2:]), "ori_shape": label.shape[-2:]},
            )
            for label in self.labels
        ]
        self.model.train_step({"inputs": [*self.images], "data_samples": samples}, self.optim)

    def seconds(self) -> float:
        """Of one step, the mean of a few."""
        wait = torch.cuda.synchronize if self.device != "cpu" else (lambda: None)
        wait()
        began = time.perf_counter()
        for _ in range(STEPS):
            self.step()
        wait()
        return (time.perf_counter() - began) / STEPS


def ways(device: str, compiled: bool) -> dict[str, dict[str, object]]:
    """What is tried on a device; compiled code takes minutes more for each model."""
    low = {"precision": "bfloat16", "shortcuts": True}
    tried: dict[str, dict[str, object]] = {"float32": {}, "float32, shortcuts": {"shortcuts": True}}
    if compiled:
        tried["float32, compiled"] = {"compiled": True, "shortcuts": True}
    if device != "cpu":
        tried["tf32"] = {"tf32": True, "shortcuts": True}
    tried["bfloat16"] = low
    tried["bfloat16, channels last"] = {**low, "channels_last": True}
    tried["bfloat16, channels last, fused"] = {**low, "channels_last": True, "fused": True}
    return tried


def measure(
    model: str, crop: tuple[int, int], batch: int, device: str, compiled: bool
) -> dict[str, float]:
    """Median seconds of a step, each way."""
    built = dict[str, Way]()
    for name, settings in ways(device, compiled).items():
        try:
            way = Way(model, crop, batch, device, **settings)  # type: ignore[arg-type]
            for _ in range(WARM_UP):
                way.step()
        except Exception as error:
            print(f"  {name}: {type(error).__name__}: {error}"[:300])
            continue
        built[name] = way
    found: dict[str, list[float]] = {name: [] for name in built}
    for _ in range(ROUNDS):
        for name, way in built.items():
            found[name].append(way.seconds())
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    """Measure and print a table; `--json` keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--crop", type=int, nargs=2, default=(224, 320))
    parser.add_argument("--compiled", action="store_true", help="try compiled code, too")
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.backends.cudnn.benchmark = True
    leave_out_accuracies()
    print(f"{device_name(words.device)}, batch {words.batch}, crop {words.crop}, ms per step:")
    results = {}
    for model in words.models or MODELS:
        results[model] = measure(
            model, tuple(words.crop), words.batch, words.device, words.compiled
        )
        stock = results[model]["float32"]
        print(f"  {model}")
        for name, took in results[model].items():
            print(f"    {name:32} {1000 * took:8.1f}   {stock / took:5.2f} times", flush=True)
    if words.json:
        words.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
