"""Locks that the kernel lets go of when their holder dies, on whatever host: a file left behind locks nothing."""

import errno
import fcntl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from leafdist.system import signals

BRIEF = 0.2  # seconds of waiting that nobody needs to hear of
WITHOUT = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # what a file system without locks answers


def hold(path: Path, seconds: float, say: Callable[[str], None]) -> FileLock:
    """Wait so many seconds for the lock, below 0 for ever; it is held until released. A warning where there are none.

    Raises filelock.Timeout, or Interrupted when asked to stop while it waits for ever.
    """
    lock = FileLock(path, fallback_to_soft=False)  # a soft lock of a dead job would block for ever
    try:
        if seconds < 0:
            _patiently(lock, say)
        else:
            lock.acquire(timeout=seconds)
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in WITHOUT:
            raise
        say(f"warning: the file system of {path} has no locks ({error}): make sure that no other job works there")
    return lock


def _patiently(lock: FileLock, say: Callable[[str], None]) -> None:
    with suppress(Timeout):
        lock.acquire(timeout=BRIEF)
        return
    say(f"waiting for another process, which holds {lock.lock_file}")
    while not lock.is_locked:
        signals.check()
        with suppress(Timeout):
            lock.acquire(timeout=1)


def held(path: Path) -> bool | None:
    """Whether a process holds it now, on whatever host; None where the file system cannot say. Waits for nobody."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: those who look do not see each other
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return False
