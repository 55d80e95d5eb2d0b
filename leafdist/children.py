"""Helper processes, for packing, loading, auditing: deaf to what asks a job to stop, gone with the one they help."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from typing import Any

from leafdist import signals


@contextmanager
def deaf() -> Iterator[None]:
    """Helpers started inside never see the signals. Python's resource tracker, started there, would unblock some."""
    resource_tracker.ensure_running()
    with signals.blocked():
        yield


@contextmanager
def mapper(workers: int) -> Iterator[Callable[..., Iterator[Any]]]:
    """`map` over processes; in this one where there is little to do. Forking a process with threads may hang: spawn."""
    if workers <= 1:
        yield map
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=leave_with_parent)
    try:
        yield pool.map
    except BrokenProcessPool as error:
        raise OSError("a helper process was killed, by the system for want of memory most likely") from error
    finally:
        pool.shutdown(cancel_futures=True)


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
