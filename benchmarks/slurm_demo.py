"""Run the demo on the SLURM that the tests start, and record it.

    python benchmarks/slurm_demo.py FOLDER     (root, Debian; ten minutes on two cores)

Writes `jobs.md`, a row per rule with what SLURM knows of its jobs, and `status.svg`, what
`python -m segbench status` showed in the middle of it.
"""

import io
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/slurm"), str(ROOT / "workflow/scripts")]

from cluster import Cluster, ask, missing  # noqa: E402
from helpers import Checkout  # noqa: E402

from segbench.report.status import drawn  # noqa: E402
from segbench.system.run_status import read_status  # noqa: E402

COMMAND = (str(Path(sys.executable).parent / "snakemake"), "--workflow-profile", "profiles/slurm",
           "--slurm-init-seconds-before-status-checks", "4",
           # the machine has fewer cores than the node claims
           "--set-threads", "train_run=1", "evaluate_run=1", "prepare_dataset=2")  # fmt: skip
FIELD = re.compile(r"(\w+)=(\S*)")


def main(folder: Path) -> None:
    """Run and record."""
    if reason := missing():
        sys.exit(reason)
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster()
    cluster.start()
    try:
        with tempfile.TemporaryDirectory(prefix="segbench-slurm-demo-") as place:
            checkout = Checkout.copy_of(ROOT, Path(place) / "checkout")
            checkout.edit("profiles/slurm/profile.yaml", "accounting = True ", "accounting = False")
            began = time.monotonic()
            run_and_watch(checkout.root, folder)
            minutes = (time.monotonic() - began) / 60
        (folder / "jobs.md").write_text(jobs_table() + f"\n{minutes:.1f} minutes in all.\n")
    finally:
        cluster.stop()


def run_and_watch(root: Path, folder: Path) -> None:
    """Run the demo, and keep the picture of the moment with the most trainings that run."""
    most = -1
    with (folder / "snakemake.log").open("w") as log:
        process = subprocess.Popen(COMMAND, cwd=root, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            time.sleep(5)
            results = root / "results/demo"
            if not (results / "runs.json").is_file():
                continue
            found = read_status(results)
            now = sum(run.state == "training" for run in found.runs)
            done = sum(run.state == "done" for run in found.runs)
            if now and 10 * now + done > most:
                most = 10 * now + done
                console = Console(record=True, width=118, file=io.StringIO())
                console.print(drawn(found))
                console.save_svg(str(folder / "status.svg"), title="python -m segbench status demo")
    if process.returncode:
        sys.exit(f"the demo failed; see {folder / 'snakemake.log'}")


def jobs_table() -> str:
    """A row for each rule: how many jobs, where, on how many GPUs, how long they waited and ran."""
    rules = defaultdict[str, list[dict[str, str]]](list)
    for line in ask("scontrol", "-o", "show", "jobs").splitlines():
        job = dict(FIELD.findall(line))
        rule = re.match(r"rule_([a-z_]+?)(_wildcards|$)", job.get("Comment", ""))
        rules[rule[1] if rule else "?"].append(job)
    lines = ["| rule | jobs | partition | GPUs each | longest wait, s | mean time, s |",
             "|---|---:|---|---:|---:|---:|"]  # fmt: skip
    for rule, jobs in rules.items():
        waits = [seconds(job, "SubmitTime", "StartTime") for job in jobs]
        times = [seconds(job, "StartTime", "EndTime") for job in jobs]
        gpus = jobs[0].get("TresPerJob", "gres:gpu:0").rpartition(":")[2]
        lines.append(
            f"| `{rule}` | {len(jobs)} | {jobs[0]['Partition']} | {gpus} | {max(waits):.0f} "
            f"| {sum(times) / len(times):.0f} |"
        )
    return "\n".join(lines) + "\n"


def seconds(job: dict[str, str], first: str, last: str) -> float:
    """Between two times of a job."""
    span = datetime.fromisoformat(job[last]) - datetime.fromisoformat(job[first])
    return span.total_seconds()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
