"""The workflow on a real SLURM: what it asks for, and that nothing is lost when jobs are killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from cluster import COMMAND, ask
from helpers import heed_interrupts

SNAKEMAKE = str(Path(sys.executable).parent / "snakemake")
RUN = "results/smallest/runs/cgnet/scratch/seed0"
FIELD = re.compile(r"(\w+)=(\S*)")


def finished_jobs() -> list[dict[str, str]]:
    """What SLURM knows of every job that ended."""
    jobs = [
        dict(FIELD.findall(line)) for line in ask("scontrol", "-o", "show", "jobs").splitlines()
    ]
    return [job for job in jobs if job.get("JobState") not in (None, "RUNNING", "PENDING")]


def gpus(job: dict[str, str]) -> int:
    """How many GPUs a job asked for."""
    return int(job.get("TresPerJob", "gres:gpu:0").rpartition(":")[2])


def wait_for(what, seconds: float = 120):
    """Wait until a function gives something true, and give that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds} s in vain")


def start(checkout, *more: str, target: str = "all", **environment: str) -> subprocess.Popen[str]:
    """Start Snakemake as from a terminal."""
    return subprocess.Popen(
        [SNAKEMAKE, target, *COMMAND, *more], cwd=checkout.root, text=True, start_new_session=True,
        stdout=(checkout.root / "said.txt").open("w"), stderr=subprocess.STDOUT,
        env=os.environ | environment, preexec_fn=heed_interrupts,
    )  # fmt: skip


def said(checkout) -> str:
    return (checkout.root / "said.txt").read_text()


def states_of(checkout) -> list[Path]:
    """The saved states of its trainings."""
    return list(checkout.root.glob("results/work/*/state-*.pth"))


def training_job(checkout) -> str:
    """The SLURM job of the training, once it has saved a state."""
    wait_for(lambda: states_of(checkout))
    (job,) = re.findall(r"rule_train_run/\S+/(\d+)\.log", said(checkout))[-1:]
    return job


def log_of_training(checkout) -> str:
    return (checkout.root / "results/logs/train_run/smallest/cgnet_scratch_0.log").read_text()


def went_on(checkout) -> int:
    """The iteration from which the last attempt went on; the history must be whole."""
    iterations = [
        int(line.split(",")[0])
        for line in (checkout.root / RUN / "history.csv").read_text().splitlines()[1:]
    ]
    assert iterations == list(range(10, 201, 10))
    return int(re.findall(r"going on after iteration (\d+)", log_of_training(checkout))[-1])


def test_it_runs_to_its_report(finished):
    assert (finished.root / "results/smallest/report.html").stat().st_size > 1_000_000


def test_only_what_needs_a_gpu_asks_for_one(finished):
    jobs = finished_jobs()
    with_gpu = [job for job in jobs if gpus(job) == 1]
    # four trainings, four evaluations, and what each of two models costs
    assert len(with_gpu) == 10
    assert {job["Partition"] for job in with_gpu} == {"gpu"}
    assert {job["Partition"] for job in jobs if job not in with_gpu} == {"cpu"}


def test_never_more_jobs_hold_gpus_than_there_are(finished, cluster):
    spans = [
        tuple(datetime.fromisoformat(job[key]) for key in ("StartTime", "EndTime"))
        for job in finished_jobs()
        if gpus(job)
    ]
    at_once = Counter(sum(a <= began < b for a, b in spans) for began, _ in spans)
    assert max(at_once) == cluster.gpus


def test_nothing_runs_beside_a_measurement(finished):
    spans = {
        job["JobId"]: tuple(datetime.fromisoformat(job[key]) for key in ("StartTime", "EndTime"))
        for job in finished_jobs()
    }
    measured = [job for job in finished_jobs() if "rule_measure_cost" in job["StdOut"]]
    assert len(measured) == 2
    for job in measured:
        assert job["OverSubscribe"] == "NO"
        began, ended = spans[job["JobId"]]
        beside = {one for one, (a, b) in spans.items() if a < ended and began < b}
        assert beside == {job["JobId"]}


def test_small_jobs_run_where_snakemake_runs(finished):
    # drawing and preparing, checks of models, trainings, evaluations, costs, and tables, figures
    # and the page: what is left, such as a config or a card, is not worth a job
    assert len(finished_jobs()) == 2 + 2 + 4 + 4 + 2 + 3


def test_a_job_over_its_time_is_tried_again_with_more_and_goes_on(longer):
    # never validated before its end, so that what is saved in time is saved by the clock
    longer.edit("smallest.yaml", "val_interval: 40", "val_interval: 200, save_minutes: 0.02")
    before = len(finished_jobs())
    process = start(
        longer, "--set-resources", "train_run:runtime=1 + 20 * (attempt - 1)", target="train"
    )
    # it stands still until its time is over: no machine is too fast for that
    ask("scancel", "--signal=STOP", training_job(longer))
    saved = max(int(path.name.split("-")[1]) for path in states_of(longer))
    assert process.wait(timeout=600) == 0, said(longer)
    states = [job["JobState"] for job in finished_jobs()[before:]]
    assert states.count("TIMEOUT") == 1
    limits = re.findall(r"rule train_run:.*?runtime=(\d+)", said(longer), re.DOTALL)
    assert limits == ["1", "21"]
    assert went_on(longer) >= saved > 0


def test_a_requeued_job_goes_on(longer):
    process = start(longer, target="train")
    job = training_job(longer)
    ask("scontrol", "requeue", job)
    assert process.wait(timeout=300) == 0, said(longer)
    assert went_on(longer) >= 40


def test_a_node_that_fails_loses_no_work(longer, cluster):
    process = start(longer, target="train")
    training_job(longer)
    cluster.kill_node()
    time.sleep(5)
    cluster.start_node()
    assert process.wait(timeout=420) == 0, said(longer)
    assert went_on(longer) >= 40


def test_an_interrupt_cancels_the_jobs_and_a_rerun_goes_on(longer):
    process = start(longer, target="train")
    job = training_job(longer)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) != 0
    wait_for(lambda: job not in ask("squeue", "-h", "-o", "%i"), 30)
    assert "Interrupted. Run the same command again" in said(longer)
    assert "Traceback" not in said(longer)
    assert start(longer, target="train").wait(timeout=300) == 0, said(longer)
    assert went_on(longer) >= 40


def test_after_a_kill_of_snakemake_the_same_command_ends_the_work(longer):
    process = start(longer, target="train")
    training_job(longer)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    longer.run(*COMMAND, "--unlock", expect=0)
    # the job that is still there holds the training; the new one waits for it, and takes its result
    assert start(longer, target="train").wait(timeout=300) == 0, said(longer)
    assert (longer.root / RUN / "best.pth").is_file()


def test_a_run_that_fails_leaves_the_others_running(longer):
    longer.edit("smallest.yaml", "max_iters: 200, val_interval: 40", "max_iters: 20")
    longer.edit(
        "smallest.yaml",
        "models:\n",
        "models:\n  bad:\n    config: cgnet_fcn_4xb8-60k_cityscapes-512x1024\n"
        "    training: {learning_rate: 1.0e+30}\n",
    )
    process = start(longer, "--retries", "0")
    assert process.wait(timeout=300) != 0
    assert (longer.root / RUN / "metrics.json").is_file()
    assert "bad/scratch/seed0: the loss is" in said(longer)


def test_several_gpus_of_a_run_are_one_job(longer):
    longer.edit("smallest.yaml", "max_iters: 200, val_interval: 40", "max_iters: 20")
    longer.edit("smallest.yaml", "batch_size: 2,", "batch_size: 2, gpus_per_run: 2,")
    before = len(finished_jobs())
    process = start(longer, target="train", SEGBENCH_DEVICES="cpu,cpu")
    assert process.wait(timeout=300) == 0, said(longer)
    jobs = finished_jobs()[before:]
    assert sum(gpus(job) == 2 for job in jobs) == 1
    assert log_of_training(longer).count("device: cpu, cpu") == 1


def test_trainings_can_be_an_array(longer):
    longer.edit("smallest.yaml", "max_iters: 200, val_interval: 40", "max_iters: 20")
    longer.edit("smallest.yaml", "seeds: [0]", "seeds: [0, 1]")
    process = start(longer, "--slurm-array-jobs=train_run", target="train")
    assert process.wait(timeout=300) == 0, said(longer)
    assert re.search(r"array", said(longer))


def test_a_partition_that_does_not_exist_is_named(longer):
    longer.edit("profiles/slurm/profile.yaml", 'gpu_partition = "gpu"', 'gpu_partition = "none"')
    process = start(longer, "--retries", "0")
    assert process.wait(timeout=120) != 0
    assert "invalid partition specified: none" in said(longer)


@pytest.fixture(autouse=True)
def nothing_left_running():
    """Jobs of a test do not live on into the next."""
    yield
    subprocess.run(["scancel", "--user=root"], check=False)
    wait_for(lambda: not ask("squeue", "-h").strip(), 60)
