"""How far trainings of the same run end apart on a device, with and without deterministic kernels.

A CPU gives the same bits each time. A GPU adds in the order in which its threads come, unless it is
told not to, and a few operations know no other way. The same run is trained several times in
processes of their own:

    python benchmarks/spread.py results/datasets/demo_rural/manifest.json [MODEL ...]
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow/scripts"))

import torch
from step import ADAMW, MODELS

from segbench.config.training import Training
from segbench.recipe.context import Recipe
from segbench.recipe.render import render
from segbench.zoo.names import config_path

TIMES, ITERATIONS = 3, 200
TRAIN = """
import sys
from pathlib import Path
from segbench.engine.execution import Execution
from segbench.engine.train import train
train(*map(Path, sys.argv[1:5]), "code", Execution(threads=4))
"""


def start(
    manifest: Path, model: str, folder: Path, *, deterministic: bool
) -> subprocess.Popen[bytes]:
    """Start a training in a process of its own."""
    folder.mkdir(parents=True)
    training = Training.model_validate(
        {
            "crop_size": [128, 160], "batch_size": 8, "max_iters": ITERATIONS,
            "val_interval": ITERATIONS, "deterministic": deterministic,
        }
    )  # fmt: skip
    wanted = Recipe(
        training=training, run="m/scratch/seed0", initialization="scratch", seed=0, overrides=ADAMW
    )
    (folder / "config.py").write_text(render(config_path(MODELS[model]), manifest, wanted))
    words = [folder / "config.py", manifest, folder, folder / "work"]
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", TRAIN, *map(str, words)],
        stdout=subprocess.DEVNULL, stderr=(folder / "log").open("w"),
    )  # fmt: skip


def apart(folders: list[Path]) -> dict[str, float]:
    """How far trainings ended apart."""
    weights, rows = [], []
    for folder in folders:
        state = torch.load(folder / "best.pth", map_location="cpu", weights_only=True)
        weights.append(torch.cat([v.double().flatten() for v in state["state_dict"].values()]))
        with (folder / "history.csv").open(newline="") as file:
            rows.append([*csv.DictReader(file)])
    stacked = torch.stack(weights)
    losses = np.array([[float(row["loss"]) for row in history] for history in rows])
    scores = [100 * float(history[-1]["val_miou"]) for history in rows]
    return {
        "weights_that_differ": float((stacked != stacked[0]).any(0).double().mean()),
        "loss_spread_first_row": float(np.ptp(losses[:, 0])),
        "loss_spread_last_row": float(np.ptp(losses[:, -1])),
        "miou_spread_points": max(scores) - min(scores),
    }


def main() -> None:
    """Train and print how far apart they ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--json", type=Path)
    words = parser.parse_args()
    root, results = Path(tempfile.mkdtemp()), {}
    for model in words.models or ["fast_scnn"]:
        started = {
            deterministic: [
                (folder := root / model / str(deterministic) / str(repeat),
                 start(words.manifest, model, folder, deterministic=deterministic))
                for repeat in range(TIMES)
            ]
            for deterministic in (False, True)
        }  # fmt: skip
        for deterministic, trainings in started.items():
            for folder, process in trainings:
                if process.wait():
                    sys.exit((folder / "log").read_text()[-2000:])
            name = f"{model}, {'deterministic' if deterministic else 'as it comes'}"
            results[name] = apart([folder for folder, _ in trainings])
            print(name, json.dumps(results[name]), flush=True)
    if words.json:
        words.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
