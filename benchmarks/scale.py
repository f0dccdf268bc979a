"""How long a thousand runs take to plan, and to look at while they run.

    python benchmarks/scale.py [SEEDS ...]     200 seeds of five models by default

Plans an experiment that has not begun with `snakemake -n`, and lets `python -m segbench status`
read as many heartbeats. Time is that of the whole process; memory is the largest it took.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from segbench.system.heartbeat import NAME, Heartbeat  # noqa: E402
from segbench.system.run_list import write_run_list  # noqa: E402

MODELS = {
    "cgnet": "cgnet_fcn_4xb8-60k_cityscapes-512x1024",
    "fast_scnn": "fast_scnn_8xb4-160k_cityscapes-512x1024",
    "bisenetv2": "bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024",
    "segformer_b0": "segformer_mit-b0_8xb1-160k_cityscapes-1024x1024",
    "pidnet_s": "pidnet-s_2xb6-120k_1024x1024-cityscapes",
}


def main() -> None:
    """Print what planning and looking cost."""
    for seeds in map(int, sys.argv[1:] or ["200"]):
        measure(seeds)


def measure(seeds: int) -> None:
    """Plan and look at an experiment of so many seeds."""
    with tempfile.TemporaryDirectory(prefix="segbench-scale-") as place:
        config = Path(place) / "many.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "experiment": "many",
                    "dataset": str(ROOT / "config/datasets/demo_urban.yaml"),
                    "models": MODELS,
                    "seeds": list(range(seeds)),
                    "training": {"crop_size": [128, 128], "batch_size": 4, "max_iters": 100},
                }
            )
        )
        runs = [f"{model}/scratch/seed{seed}" for model in MODELS for seed in range(seeds)]
        plan = ["snakemake", "-n", "-q", "--snakefile", str(ROOT / "Snakefile"), "--directory",
                place, "--configfile", str(config), "--cores", "1"]  # fmt: skip
        print(f"{len(runs)} runs, {os.cpu_count()} cores")
        _report("plan (snakemake -n)", plan, place)
        results = Path(place) / "results/many"
        write_run_list(results, runs, [], {})
        for run in runs:
            folder = results / "runs" / run
            folder.mkdir(parents=True)
            beat = Heartbeat(run=run, state="training", done=5, total=100, beat=time.time())
            (folder / NAME).write_text(beat.model_dump_json())
        _report("status", [sys.executable, "-m", "segbench", "status", str(results)], place)


def _report(name: str, command: list[str], place: str) -> None:
    """Run a command and print its time, and the largest memory of any command so far."""
    before = time.perf_counter()
    subprocess.run(
        command, cwd=place, check=True, stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT / "workflow/scripts")},
    )  # fmt: skip
    taken = time.perf_counter() - before
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"  {name:22s}{taken:7.2f} s   {memory:6.0f} MB")


if __name__ == "__main__":
    main()
