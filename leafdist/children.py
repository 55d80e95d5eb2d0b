"""Helper processes, for packing and loading: deaf to what asks a job to stop, and gone with the one they help."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

from leafdist import signals


@contextmanager
def deaf() -> Iterator[None]:
    """Helpers started inside never see the signals. Python's resource tracker, started there, would unblock some."""
    resource_tracker.ensure_running()
    with signals.blocked():
        yield


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
