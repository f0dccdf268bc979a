"""Start the processes of one training, one per device, through torchrun's launcher.

A failure of one ends them all, and comes back as the error that it was. Imports torch.
"""

import json
import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

import segbench
from segbench.errors import ModelError, SegbenchError
from segbench.system.stop import StoppedError

LOG = logging.getLogger(__name__)
# where a process leaves why it failed, in a folder of the launch
FAILURE = "failure-{rank}.json"
KINDS: dict[str, type[SegbenchError]] = {"StoppedError": StoppedError}


def launch(module: str, arguments: Sequence[str], processes: int, what: str) -> None:
    """Run a module in so many processes, and wait for their end.

    Args:
        module: name of the module; its last argument is a folder for the message of a failure.
        arguments: before that one.
        processes: how many.
        what: name of what they do, for messages.

    Raises:
        SegbenchError: a process failed, or a signal asked for the end.
        RuntimeError: a process met a defect; the log holds its traceback.
    """
    # what it says of failures is said below in a sentence
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    os.environ["PYTHONPATH"] = str(Path(segbench.__file__).parent.parent)
    with tempfile.TemporaryDirectory(prefix="segbench-launch-") as folder:
        settings = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=Path(folder).name,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            elastic_launch(settings, sys.executable)("-m", module, *arguments, folder)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            raise _error_of(Path(folder), rank, failure.exitcode) from None
        except SignalException as error:
            raise StoppedError(
                f"{what}: stopped by {error.sigval.name}, its state is saved; run again to go on"
            ) from None


def report_failure(folder: Path, rank: int, error: BaseException) -> None:
    """Leave why a process failed, for the one that launched it."""
    ours = isinstance(error, SegbenchError)
    content = {"kind": type(error).__name__, "message": str(error), "ours": ours}
    (folder / FAILURE.format(rank=rank)).write_text(json.dumps(content))


def _error_of(folder: Path, rank: int, exit_code: int) -> Exception:
    try:
        content = json.loads((folder / FAILURE.format(rank=rank)).read_text())
    except (OSError, ValueError):
        return ModelError(
            f"process {rank} of the training ended with code {exit_code} and said nothing: it was "
            "probably killed for memory. Lower `batch_size`, or give the job more memory; the "
            "training goes on from its saved state."
        )
    if content["ours"]:
        return KINDS.get(content["kind"], ModelError)(content["message"])
    return RuntimeError(f"{content['kind']} in process {rank}: {content['message']}")
