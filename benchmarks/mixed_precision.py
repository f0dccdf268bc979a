"""Whether mixed precision changes the score: the same trainings in float32 and in 16 bits.

Several seeds are trained from random weights in each precision, one after the other, each in a
process of its own. A difference counts if it is beyond the spread of the seeds.

    python benchmarks/mixed_precision.py results/datasets/idd_lite/manifest.json [--iterations 200]
"""

import argparse
import json
import logging
import statistics
import tempfile
import warnings
from pathlib import Path

from stock import own_trainer, rendered
from timing import parser_of_trainings, started

AGAIN = "it is computed in float32"


def main() -> None:
    """Train, and print a table."""
    parser = parser_of_trainings(__doc__.splitlines()[0], iterations=200, crop=(96, 128))
    parser.add_argument("--mixed", choices=("bfloat16", "float16"), default="bfloat16")
    parser.add_argument("--seeds", type=int, default=3)
    words = parser.parse_args()
    if words.job:
        print("MEASURED", json.dumps(trained(**words.job)))
        return
    if words.manifest is None:
        parser.error("name the manifest.json of a prepared dataset")
    print(f"| model | float32: mean IoU of seeds | mean | {words.mixed} | mean | apart | again |")
    print("|:--|:--|--:|:--|--:|--:|--:|")
    for model in words.models:
        sides = (scores(model, precision, words) for precision in ("float32", words.mixed))
        print(row(model, *sides), flush=True)
    print(f"\nProtocol: {words}.")


def scores(model: str, precision: str, words: argparse.Namespace) -> list[dict[str, float]]:
    """What each seed of a model ends with."""
    found = []
    for seed in range(words.seeds):
        with tempfile.TemporaryDirectory() as folder:
            config = rendered(
                model, words.manifest.resolve(), Path(folder) / "config.py", seed=seed,
                crop_size=words.crop, batch_size=words.batch, max_iters=words.iterations,
                val_interval=words.iterations, precision=precision,
            )  # fmt: skip
            found.append(started(__file__, folder, config=str(config)))
    return found


def trained(config: str, folder: str) -> dict[str, float]:
    """Mean IoU in per cent at the end of a training, and its steps that were computed again."""
    said = Said()
    steps = logging.getLogger("segbench.engine.optimizers")
    steps.setLevel(logging.INFO)
    steps.addHandler(said)
    with own_trainer(config, folder) as trainer:
        trainer.train()
    return {"miou": 100 * trainer.state.history[-1]["val_miou"], "again": said.again}


class Said(logging.Handler):
    """Counts the steps that are said to be computed again."""

    again = 0

    def emit(self, record: logging.LogRecord) -> None:
        """One more, if it says so."""
        self.again += AGAIN in record.getMessage()


def row(model: str, full: list[dict[str, float]], mixed: list[dict[str, float]]) -> str:
    """A row of the table."""
    sides = [[one["miou"] for one in side] for side in (full, mixed)]
    cells = [
        cell
        for side in sides
        for cell in (", ".join(f"{one:.1f}" for one in side), f"{statistics.mean(side):.1f}")
    ]
    apart = statistics.mean(sides[1]) - statistics.mean(sides[0])
    again = sum(int(one["again"]) for one in mixed)
    return f"| {model} | {' | '.join(cells)} | {apart:+.1f} | {again} |"


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
