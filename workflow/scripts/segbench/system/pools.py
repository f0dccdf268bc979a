"""Processes and threads that work on files and images beside the one that asks. No torch."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any, TypeVar

import cv2

WAITING = 8  # items that are made and not yet worked on
Item = TypeVar("Item")
Done = TypeVar("Done")


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


def in_background(work: Callable[[Item], Done], items: Iterable[Item]) -> Iterator[Done]:
    """Work on items in another thread while the next ones are made; in their order.

    Args:
        work: spends its time where Python lets other threads run, as OpenCV and NumPy do.
        items: made one by one, never many more than were worked on.
    """
    with ThreadPoolExecutor(1) as pool:
        waiting = deque[Future[Done]]()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
