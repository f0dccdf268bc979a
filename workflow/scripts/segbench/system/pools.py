"""Processes that work on files, forked from a process that is ready for it. No torch."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import cv2


def end_threads_of_opencv() -> int:
    """Make this process ready to be forked.

    A forked process has none of the threads that OpenCV had in its parent, and would wait for them
    without end; so they are ended first.

    Returns:
        How many there were.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    return threads


@contextlib.contextmanager
def process_pool(
    workers: int, initializer: Callable[..., None] | None = None, *arguments: Any
) -> Iterator[ProcessPoolExecutor]:
    """A pool of processes, each with one thread of OpenCV.

    Args:
        workers: number of processes.
        initializer: called in each process when it starts.
        arguments: for it.
    """
    threads = end_threads_of_opencv()
    try:
        with ProcessPoolExecutor(workers, initializer=initializer, initargs=arguments) as pool:
            yield pool
    finally:
        cv2.setNumThreads(threads)
