"""Ctrl-C ends a command within seconds and without a traceback, wherever it is: in an import, a pool, or its exit."""

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

from leafdist.system.errors import STOPPED

GRACE = 3.0  # seconds to remove what is unfinished


def obey() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, once, and end this program for good soon after."""
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:  # not where a shell has told us to ignore it
        signal.signal(signal.SIGINT, _stop)
        sys.unraisablehook = _unraisable
        threading.Thread(target=_watch, args=(_numbers(),), daemon=True).start()


def _numbers() -> socket.socket:
    """Return what the number of each signal can be read from, one byte each, whatever the main thread is doing.

    Python calls a handler between two of its instructions: one that comes just before a long call waits for its end.
    """
    numbers, written = socket.socketpair()
    written.setblocking(False)
    signal.set_wakeup_fd(written.detach(), warn_on_full_buffer=False)
    return numbers


def _watch(numbers: socket.socket) -> None:
    while number := numbers.recv(1):
        if number[0] == signal.SIGINT and signal.getsignal(signal.SIGINT) in (_stop, _stop_again):
            time.sleep(GRACE)  # a pool may wait for its tasks for ever
            leave()


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _stop_again)
    raise KeyboardInterrupt


def _stop_again(number: int, frame: FrameType | None) -> None:
    leave()


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    if issubclass(lost.exc_type, KeyboardInterrupt):  # raised in a finalizer, say, which swallows it
        leave()
    sys.__unraisablehook__(lost)


def leave() -> NoReturn:
    """End this process now, as Ctrl-C does, with its helpers; whoever is waited for is left behind."""
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(STOPPED)
