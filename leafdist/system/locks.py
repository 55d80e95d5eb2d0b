"""File locks that the kernel releases when their holder dies, on whatever host: a file left behind locks nothing."""

import errno
import fcntl
import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from leafdist.system import signals

BRIEF = 0.2  # seconds of waiting that are not worth a message
FOREVER = -1  # seconds: packing or copying a large data set takes as long as it takes
# what a file system without locks answers, and NFS to a file that is open to read only
WITHOUT = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF)


def hold(path: Path, seconds: float, say: Callable[[str], None]) -> FileLock:
    """Take the lock within so many seconds (FOREVER: no limit); warn where the file system has no locks.

    Raises filelock.Timeout, or Interrupted when asked to stop while it waits without limit.
    """
    shared = 0o600 | path.parent.stat().st_mode & 0o066  # whoever may write in the folder may lock, whatever the umask
    lock = FileLock(path, mode=shared, fallback_to_soft=False)  # a soft lock of a dead job would never be released
    try:
        if seconds < 0:
            _patiently(lock, say)
        else:
            lock.acquire(timeout=seconds)
    except (NotImplementedError, OSError) as error:
        _warn_of_none(error, path, say)
    return lock


def _warn_of_none(error: Exception, path: Path, say: Callable[[str], None]) -> None:
    """Warn where the file system has no locks; raises any other error."""
    if isinstance(error, OSError) and error.errno not in WITHOUT:
        raise error
    say(f"warning: the file system of {path} has no locks ({error}): make sure that no other job works there")


@contextmanager
def alone(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock inside the block, however long that takes to get."""
    if path.exists() and not os.access(path, os.W_OK):
        with _read_only(path, say):
            yield
        return
    lock = hold(path, FOREVER, say)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _read_only(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a lock file that its owner lets others only read: FileLock would open it to write."""
    with path.open("rb") as file:
        for attempt in itertools.count():
            signals.check()
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not attempt:
                    say(f"waiting for another process, which holds {path}")
                time.sleep(BRIEF)
            except OSError as error:
                _warn_of_none(error, path, say)
                break
        yield


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
