"""Helper processes, for packing and loading: deaf to what asks a job to stop, and gone with the one they help."""

import multiprocessing
import os
import threading


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
