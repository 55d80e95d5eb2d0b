"""Signals: a handler that sets a flag and nothing else. The training loop looks at it, saves and leaves."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from leafdist.system.errors import STOPPED

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
ECHO_SECONDS = 0.3  # a launcher and Slurm may both pass one SIGINT on; a person's second one comes later
_received: list[tuple[str, float]] = []  # name and time of the first


class Interrupted(Exception):  # noqa: N818 - a request, no fault
    """The job was told to stop; what was trained is saved. Worth continuing."""


def install() -> None:
    """From here on the signals that end a job ask it to stop. Main thread only."""
    for number in STOPPING:
        signal.signal(number, _note)


def _note(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if not _received:
        _received.append((signal.Signals(number).name, now))
    elif number == signal.SIGINT and _received[0][0] == "SIGINT" and now - _received[0][1] > ECHO_SECONDS:
        os.write(2, b"second SIGINT: stopped at once; what lies on the disk is whole\n")
        os._exit(STOPPED)


def ignore() -> None:
    """To the end of the process: Python gives signals back their deadly meaning before it is gone."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)


def received() -> str | None:
    """Name of the signal that asked this process to stop."""
    return _received[0][0] if _received else None


def seconds_since() -> float:
    """Since that signal."""
    return time.monotonic() - _received[0][1]


def check() -> None:
    """Raises Interrupted when asked to stop: for long work of one process, such as packing."""
    if name := received():
        raise Interrupted(f"interrupted by {name}")


@contextmanager
def blocked() -> Iterator[None]:
    """Processes started inside never see the signals, which reach every process of a job; here none is lost."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
