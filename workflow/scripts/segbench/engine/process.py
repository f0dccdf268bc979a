"""One of the processes that train a run together; started by `segbench.engine.launch`.

Arguments: the rendered config, the work folder, what shapes the run and how it is carried out as
JSON, the log file (or an empty word), the devices with commas between, and the folder for failures.
"""

import contextlib
import ctypes
import logging
import os
import signal
import sys
import traceback
from pathlib import Path

from segbench.engine.execution import Execution
from segbench.engine.launch import report_failure
from segbench.engine.processes import Processes
from segbench.engine.train import train_here
from segbench.system.logs import join_log
from segbench.system.provenance import CameFrom
from segbench.system.stop import StopRequest

LOG = logging.getLogger(__name__)
SET_SIGNAL_OF_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of `prctl`


def main(arguments: list[str]) -> int:
    """Train, together with the other processes."""
    _end_with_the_launcher()
    config, work, origin, how, log, devices, failures = arguments
    rank = int(os.environ["RANK"])
    device = devices.split(",")[rank]
    join_log(Path(log) if log else None, speaks=rank == 0)
    stop = StopRequest()
    try:
        with stop:
            processes = Processes.joined(device)
            came_from = CameFrom.model_validate_json(origin)
            execution = Execution.model_validate_json(how)
            train_here(Path(config), Path(work), came_from, device, execution, stop, processes)
            processes.leave()
    except Exception as error:
        # when one fails the others lose it in the middle of something; that needs no message
        if not stop.signal:
            LOG.debug(traceback.format_exc())
        report_failure(Path(failures), rank, error)
        return 1
    return 0


def _end_with_the_launcher() -> None:
    """Have the kernel send SIGTERM, which saves the state, once the launcher is gone.

    One that is killed cannot end its processes, and nobody would know of them. Linux alone can.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(SET_SIGNAL_OF_PARENTS_DEATH, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
