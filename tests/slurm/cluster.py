"""A SLURM of one node on this machine: munge, slurmctld and slurmd from Debian's packages.

It needs root, because SLURM starts jobs for others, and a machine without a SLURM of its own. There
is no accounting, no cgroup and no systemd. Its GPUs are device files that only count.
"""

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path

# the plugin's job step drops SLURM_CONF from the environment, so the settings must lie here
SETTINGS = Path("/etc/slurm")
MARK = "# made by segbench's tests"
PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
SLURM_CONF = """{mark}
ClusterName=segbench
# "localhost" is accepted whatever the machine is called
SlurmctldHost=localhost
NodeName=localhost CPUs=32 RealMemory=200000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=cpu Nodes=localhost Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=localhost MaxTime=INFINITE State=UP
# the node has what it claims, whatever the machine has
SlurmdParameters=config_overrides
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# a job that is queued again waits until its credentials have expired
AuthInfo=socket={lab}/munge/socket,cred_expire=15
StateSaveLocation={lab}/state
SlurmdSpoolDir={lab}/spool
SlurmctldPidFile={lab}/slurmctld.pid
SlurmdPidFile={lab}/slurmd.pid
SlurmctldLogFile={lab}/slurmctld.log
SlurmdLogFile={lab}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/none
# finished jobs are asked for from the controller's memory
MinJobAge=7200
ReturnToService=2
JobRequeue=1
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=2,requeue_setup_env_fail
# a limit of minutes is kept to the second
OverTimeLimit=0
KillWait=5
SlurmdTimeout=20
SlurmctldTimeout=20
InactiveLimit=0
"""
# a GPU that is only a number leaves the node invalid: each needs a character device
GRES_CONF = "AutoDetect=off\nName=gpu File={lab}/gpu[0-{last}]\n"
# how the experiment of the tests is run
COMMAND = ("--workflow-profile", "profiles/slurm", "--configfile", "smallest.yaml",
           "--slurm-init-seconds-before-status-checks", "4",
           # the machine has fewer cores than the node claims
           "--set-threads", "train_run=1", "evaluate_run=1", "measure_cost=1",
           "prepare_dataset=2")  # fmt: skip
NULL_DEVICE = os.makedev(1, 3)


def missing() -> str:
    """Why a cluster cannot be brought up here, empty if it can."""
    if absent := [program for program in PROGRAMS if shutil.which(program) is None]:
        return (
            f"no {', '.join(absent)} on this machine; install them with: apt-get install "
            "--no-install-recommends slurmctld slurmd slurm-client munge"
        )
    if os.geteuid() != 0:
        return "only root can start a SLURM"
    settings = SETTINGS / "slurm.conf"
    if settings.exists() and MARK not in settings.read_text():
        return f"{settings}: this machine has a SLURM of its own"
    return ""


def ask(*command: str) -> str:
    """What a command of SLURM prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout


class Cluster:
    """A SLURM that runs from `start` to `stop`.

    Args:
        gpus: how many GPUs the node has, two or more.

    Attributes:
        lab: folder for its state, logs and devices.
    """

    def __init__(self, gpus: int = 2) -> None:
        # munge wants its socket to be reached by all, and pytest's folders are closed
        self.lab, self.gpus = Path(tempfile.mkdtemp(prefix="segbench-slurm-")), gpus

    def start(self) -> None:
        """Bring it up, and wait until the node takes jobs."""
        for name in ("munge", "state", "spool"):
            (self.lab / name).mkdir(parents=True, exist_ok=True, mode=0o755)
        self.lab.chmod(0o755)
        for index in range(self.gpus):
            os.mknod(self.lab / f"gpu{index}", stat.S_IFCHR | 0o666, NULL_DEVICE)
        SETTINGS.mkdir(exist_ok=True)
        conf = SLURM_CONF.format(mark=MARK, lab=self.lab, gpus=self.gpus)
        (SETTINGS / "slurm.conf").write_text(conf)
        gres = GRES_CONF.format(lab=self.lab, last=self.gpus - 1)
        (SETTINGS / "gres.conf").write_text(gres)
        munge = self.lab / "munge"
        subprocess.run(["mungekey", "--create", f"--keyfile={munge}/key"], check=True)
        files = [f"--{name}={munge}/{file}" for name, file in (
            ("key-file", "key"), ("socket", "socket"), ("pid-file", "munged.pid"),
            ("log-file", "log"), ("seed-file", "seed"))]  # fmt: skip
        subprocess.run(["munged", *files], check=True)
        subprocess.run(["slurmctld"], check=True)
        self.start_node()

    def start_node(self) -> None:
        """Start the node's daemon, and wait until it takes jobs."""
        subprocess.run(["slurmd"], check=True)
        for _ in range(200):
            with contextlib.suppress(subprocess.CalledProcessError):
                if ask("sinfo", "-h", "-N", "-o", "%T").split()[0] in ("idle", "mixed"):
                    return
            time.sleep(0.1)
        raise RuntimeError(f"the node takes no jobs: {ask('sinfo', '-R')}")

    def kill_node(self) -> None:
        """Kill the node's daemon and all its jobs at once, as a power cut would."""
        self.pid("slurmd", signal.SIGKILL)
        subprocess.run(["pkill", "-9", "slurmstepd"], check=False)
        # without cgroups the jobs' own processes would live on
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if b"SLURM_JOB_ID=" in (process / "environ").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)

    def pid(self, name: str, number: int) -> None:
        """Send a signal to a daemon, if it runs."""
        folder = self.lab / "munge" if name == "munged" else self.lab
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((folder / f"{name}.pid").read_text()), number)

    def stop(self) -> None:
        """Cancel what runs, and end it."""
        subprocess.run(["scancel", "--user=root"], check=False, timeout=20)
        for _ in range(50):
            if not ask("squeue", "-h").strip():
                break
            time.sleep(0.2)
        for name in ("slurmd", "slurmctld", "munged"):
            self.pid(name, signal.SIGTERM)
        time.sleep(1)
        for name in ("slurmd", "slurmctld", "munged"):
            self.pid(name, signal.SIGKILL)
        for name in ("slurm.conf", "gres.conf"):
            (SETTINGS / name).unlink(missing_ok=True)
        shutil.rmtree(self.lab, ignore_errors=True)
