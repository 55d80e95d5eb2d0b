"""Signals: a handler sets a flag and does nothing else. The training loop checks it, saves and exits."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from leafdist.system.errors import STOPPED

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
NOHUP = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN  # when the program starts, before `ignore`
ECHO_SECONDS = 0.3  # a launcher and Slurm may both forward one SIGINT; a person presses again later than that
_received: list[tuple[str, float]] = []  # name and time of the first


class Interrupted(Exception):  # noqa: N818 - a request, no fault
    """The job was told to stop; what was trained is saved, so it can be resumed."""


def install() -> None:
    """Let the signals that end a job ask it to stop from now on. Main thread only. What `nohup` ignores stays so."""
    for number in STOPPING:
        if number != signal.SIGHUP or not NOHUP:
            signal.signal(number, _note)


@contextmanager
def heeded() -> Iterator[None]:
    """Let the signals that end a job ask it to stop while inside, and put back what was there before.

    Python lets no other thread than the main one do that: the work in another one hears no signal.
    """
    _received.clear()
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    install()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _note(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if not _received:
        _received.append((signal.Signals(number).name, now))
    elif number == signal.SIGINT and _received[0][0] == "SIGINT" and now - _received[0][1] > ECHO_SECONDS:
        with suppress(OSError):  # the terminal may be gone
            os.write(2, b"second SIGINT: stopped at once; what is on the disk is intact\n")
        os._exit(STOPPED)


def ignore() -> None:
    """Ignore the signals before and after they are heeded: Python restores their deadly default at the very end."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def received() -> str | None:
    """Return the name of the signal that asked this process to stop, or None."""
    return _received[0][0] if _received else None


def seconds_since() -> float:
    """Return the seconds since that signal."""
    return time.monotonic() - _received[0][1]


def check() -> None:
    """Raises Interrupted when asked to stop: called during long work of one process, such as packing."""
    if name := received():
        raise Interrupted(f"interrupted by {name}")


@contextmanager
def blocked() -> Iterator[None]:
    """Keep the signals, which reach every process of a job, from processes started inside; this one loses none."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
