"""This process's cores and memory; helper processes, which ignore stop signals and exit with their parent."""

import ctypes
import multiprocessing
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from typing import TypeVar

from leafdist.system import signals
from leafdist.system.contention import quota

SETTLE = 0.2  # seconds in which a pool forgets what was cancelled: it would print tracebacks of that when helpers die
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of mallopt(3)


class HelperKilledError(OSError):
    """A helper process was killed by a signal."""


Task = TypeVar("Task")
Result = TypeVar("Result")


@contextmanager
def deaf() -> Iterator[None]:
    """Keep stop signals from helpers started inside, and from Python's resource tracker, which starts first."""
    with signals.blocked():  # one of its own: starting the tracker unblocks some
        resource_tracker.ensure_running()
    with signals.blocked():
        yield


def share_out(work: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[tuple[int, Result]]:
    """Yield (index of the task, `work(task)`) of every task, in no order, by `workers` processes, this one among them.

    The others take tasks from the front; this one starts at once, from the end, while they still import. They are
    spawned, since forking a process with threads may hang. Raises HelperKilledError.
    """
    if min(workers, len(tasks)) <= 1:
        yield from ((index, work(task)) for index, task in enumerate(tasks))
        return
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(min(workers, len(tasks)) - 1, get_context("spawn"), initializer=leave_with_parent)
    try:
        with deaf():
            futures = [pool.submit(work, task) for task in tasks]
        yield from _from_both_ends(work, tasks, futures)
    except BaseException as error:  # nobody wants the results any more: do not wait for tasks under way
        pool.shutdown(wait=False, cancel_futures=True)
        time.sleep(SETTLE)
        for helper in set(multiprocessing.active_children()) - before:
            helper.kill()
        if not isinstance(error, BrokenProcessPool):
            raise
        raise HelperKilledError(
            "a helper process was killed, most likely by the system because memory ran out"
        ) from error
    pool.shutdown()


def _from_both_ends(
    work: Callable[[Task], Result], tasks: Sequence[Task], futures: Sequence[Future[Result]]
) -> Iterator[tuple[int, Result]]:
    front, end = 0, len(tasks)
    while front < end:
        if futures[end - 1].cancel():
            end -= 1
            yield end, work(tasks[end])
            ready = (index for index in range(front, end) if not futures[index].done())
            stop = next(ready, end)
        else:  # taken, and with it all before it
            stop = front + 1
        for index in range(front, stop):
            yield index, futures[index].result()
        front = stop


def usable_cores() -> int:
    """Return the number of cores that this process may run on, by its affinity and its cgroup's quota."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(mine, int(quota() or mine)))


def leave_with_parent() -> None:
    """End this helper when the process that started it is gone, even if that was killed.

    A fork server between the two lives as long as its helpers, so it is not the parent to wait for.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def end_all() -> None:
    """Kill the children of this process at its exit: they block SIGTERM, and Python would wait for them for ever."""
    for child in multiprocessing.active_children():
        child.kill()


def keep_freed_memory() -> None:
    """Tell glibc to keep freed memory for the next step. Does nothing under another libc.

    By default it returns blocks above 32 MiB to the kernel, which clears their pages again in each step.
    """
    if "glibc" in platform.libc_ver()[0]:
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)  # never
