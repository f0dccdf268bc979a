"""What the benchmarks share."""

import time
from collections.abc import Callable


def seconds(call: Callable[[], object]) -> float:
    """Duration of a call."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
