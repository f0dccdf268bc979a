"""What the benchmarks share."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

LIBRARY = Path(__file__).parents[1] / "workflow/scripts"

# configs of the zoo by the names that the benchmarks give them
MODELS = {
    "fast_scnn": "fast_scnn_8xb4-160k_cityscapes-512x1024",
    "segformer_b0": "segformer_mit-b0_8xb1-160k_cityscapes-1024x1024",
    "pidnet_s": "pidnet-s_2xb6-120k_1024x1024-cityscapes",
    "bisenetv1_r18": "bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024",
    "deeplabv3plus_r18": "deeplabv3plus_r18-d8_4xb2-80k_cityscapes-512x1024",
    "deeplabv3plus_mobilenetv2": "mobilenet-v2-d8_deeplabv3plus_4xb2-80k_cityscapes-512x1024",
}
# those that are compared with MMSegmentation's own tools
COMPARED = ("fast_scnn", "segformer_b0", "deeplabv3plus_r18", "bisenetv1_r18", "pidnet_s")


# those that are trained to compare scores
TRAINED = ("fast_scnn", "segformer_b0", "pidnet_s")


def parser_of_trainings(
    about: str, iterations: int, crop: tuple[int, int]
) -> argparse.ArgumentParser:
    """Words of a benchmark that trains models on a prepared dataset, with their defaults."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("manifest", type=Path, nargs="?", help="of a prepared dataset")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=TRAINED)
    parser.add_argument("--iterations", type=int, default=iterations)
    parser.add_argument("--crop", type=int, nargs=2, default=crop)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    return parser


def seconds(call: Callable[[], object]) -> float:
    """Duration of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def job_of(script: str, job: dict[str, Any]) -> dict[str, Any]:
    """How a benchmark is started for a part of its work, as words for `subprocess`."""
    return {
        "args": [sys.executable, "-W", "ignore", script, "--job", json.dumps(job)],
        "cwd": job["folder"],
        "env": os.environ | {"PYTHONPATH": str(LIBRARY)},
    }


def started(script: str, folder: str, **job: Any) -> Any:
    """What a benchmark measures in a process of its own, which prints it in JSON after `MEASURED`.

    Args:
        script: of the benchmark; it takes the job after `--job`.
        folder: in which it runs; a part of the job.
        job: the other parts.
    """
    done = subprocess.run(
        **job_of(script, job | {"folder": folder}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{job}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(done.stdout.rpartition("MEASURED")[2])
