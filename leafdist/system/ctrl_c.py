"""Ctrl-C ends a command within seconds and without a traceback, wherever it is: in an import, a pool, or its exit."""

import multiprocessing
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

from leafdist.system.errors import STOPPED

GRACE = 3.0  # seconds to remove what is unfinished


def obey() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, once, and end this program for good soon after."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:  # not where a shell has told us to ignore it
        signal.signal(signal.SIGINT, _stop)
        sys.unraisablehook = _unraisable


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, lambda number, frame: leave())  # pressed again
    late = threading.Timer(GRACE, leave)  # a pool may wait for its tasks for ever
    late.daemon = True
    late.start()
    raise KeyboardInterrupt


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    if issubclass(lost.exc_type, KeyboardInterrupt):  # raised in a finalizer, say, which swallows it
        leave()
    sys.__unraisablehook__(lost)


def leave() -> NoReturn:
    """End this process now, as Ctrl-C does, with its helpers; whoever is waited for is left behind."""
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(STOPPED)
