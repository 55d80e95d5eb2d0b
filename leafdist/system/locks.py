"""File locks that the kernel releases when their holder dies, on whatever host: a file left behind locks nothing."""

import errno
import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from leafdist.system import signals

BRIEF = 0.2  # seconds of waiting that are not worth a message
FOREVER = -1  # seconds: packing or copying a large data set takes as long as it takes
WITHOUT = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # what a file system without locks answers


def hold(path: Path, seconds: float, say: Callable[[str], None]) -> FileLock:
    """Take the lock within so many seconds (FOREVER: no limit); warn where the file system has no locks.

    Raises filelock.Timeout, or Interrupted when asked to stop while it waits without limit.
    """
    lock = FileLock(path, fallback_to_soft=False)  # a soft lock of a dead job would never be released
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


@contextmanager
def alone(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock inside the block, however long that takes to get."""
    lock = hold(path, FOREVER, say)
    try:
        yield
    finally:
        lock.release()


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
    """Whether a process on any host holds the lock now; None where the file system cannot say. Does not wait."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two processes that look do not see each other
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return False
