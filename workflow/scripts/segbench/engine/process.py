"""One of the processes that train a run together; started by `segbench.engine.launch`.

Arguments: the rendered config, the work folder, what shapes the run and how it is carried out as
JSON, the log file (or an empty word), the devices with commas between, and the folder for failures.
"""

import logging
import os
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


def main(arguments: list[str]) -> int:
    """Train, together with the other processes."""
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
