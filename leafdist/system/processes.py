"""Helper processes, for packing and loading: deaf to what asks a job to stop, and gone with the one they help."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from typing import TypeVar

from leafdist.system import signals


class HelperKilledError(OSError):
    """A helper process is gone, by a signal."""


Task = TypeVar("Task")
Result = TypeVar("Result")


@contextmanager
def deaf() -> Iterator[None]:
    """Helpers started inside never see the signals. Python's resource tracker, started there, would unblock some."""
    resource_tracker.ensure_running()
    with signals.blocked():
        yield


def share_out(work: Callable[[Task], Result], tasks: Sequence[Task], workers: int) -> Iterator[tuple[int, Result]]:
    """(place in `tasks`, `work(task)`) of every task, in no order, by `workers` processes, this one among them.

    The others take tasks from the front; this one starts at once, from the end, while they still import. Forking a
    process with threads may hang: they are spawned. Raises HelperKilledError.
    """
    if min(workers, len(tasks)) <= 1:
        yield from ((place, work(task)) for place, task in enumerate(tasks))
        return
    pool = ProcessPoolExecutor(min(workers, len(tasks)) - 1, get_context("spawn"), initializer=leave_with_parent)
    try:
        with deaf():
            futures = [pool.submit(work, task) for task in tasks]
        yield from _from_both_ends(work, tasks, futures)
    except BrokenProcessPool as error:
        raise HelperKilledError("a helper process was killed, by the system for want of memory most likely") from error
    except BaseException:  # nobody wants the results any more: do not wait for tasks under way
        for helper in list(pool._processes.values()):
            helper.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _from_both_ends(
    work: Callable[[Task], Result], tasks: Sequence[Task], futures: Sequence[Future[Result]]
) -> Iterator[tuple[int, Result]]:
    front, end = 0, len(tasks)
    while front < end:
        if futures[end - 1].cancel():
            end -= 1
            yield end, work(tasks[end])
            ready = (place for place in range(front, end) if not futures[place].done())
            stop = next(ready, end)
        else:  # taken, and with it all before it
            stop = front + 1
        for place in range(front, stop):
            yield place, futures[place].result()
        front = stop


def usable_cores() -> int:
    """Those that this process may run on, where the system can say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def leave_with_parent() -> None:
    """Called in a helper: end it when the process that asked for it is gone, killed, with nobody left to say so.

    A fork server between the two lives for as long as its helpers do, so it is no parent to wait for.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def end_all() -> None:
    """Of this process, at its exit: SIGTERM is blocked in them, and Python would wait for them for ever."""
    for child in multiprocessing.active_children():
        child.kill()
