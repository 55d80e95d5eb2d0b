"""What can go wrong with the loader's worker processes: no shared memory, killed, silent. Each with the way out."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing import BoundedSemaphore
from pathlib import Path

from torch import Tensor

from leafdist.system import console, launched

PACK = "data.source=pack, which needs none"
SHARED = "/dev/shm"
RESERVE = 1 << 20  # bytes of it
TOO_SMALL = f"{SHARED} is too small for the batches of the loader workers"
MORE_SHARED = f"docker run --shm-size=8g (or --ipc=host), fewer data.workers, or {PACK}"


class LoaderError(OSError):
    """A worker process is gone, or nothing comes from the workers."""


class NothingError(LoaderError):
    """Nothing has come from the workers for a while."""


def to_shared_memory(tensors: Sequence[Tensor]) -> bool:
    """Move them to shared memory, where it has room for them and for the semaphores of another loader.

    PyTorch would do it later, in a thread whose errors reach nobody: the batch would be waited for for ever.
    """
    size = sum(tensor.nbytes for tensor in tensors)
    if Path(SHARED).is_dir() and shutil.disk_usage(SHARED).free < size + RESERVE:
        return False
    try:
        for tensor in tensors:
            tensor.share_memory_()
    except RuntimeError:
        return False
    return True


@cache
def startable(workers: int) -> int:
    """Return `workers`, or 0 where the semaphores of their queues cannot be made: they are files in shared memory."""
    if not workers:
        return 0
    try:
        list(map(BoundedSemaphore, range(4 * workers + 12)))
    except OSError as error:
        if launched.speaks():
            console.warn(
                f"no loader worker can be started ({error}): photos are read between steps. Way out: {MORE_SHARED}"
            )
        return 0
    return workers


@contextmanager
def explained() -> Iterator[None]:
    """Raises LoaderError for a worker that is gone, which PyTorch notices within 5 seconds."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader timed out" in str(error):
            raise NothingError(
                "the loader workers brought no batch within train.timeout_minutes: they hang, or the "
                f"disk of the photos does. Look at that disk, or try data.workers=0 or {PACK}"
            ) from error
        if "DataLoader worker" not in str(error):
            raise
        if "Bus error" in str(error):
            raise LoaderError(f"a loader worker was killed: {TOO_SMALL}. {MORE_SHARED}") from error
        raise LoaderError(
            f"a loader worker was killed, by the system for want of memory most likely ({error}). Lower data.workers, "
            f"or set {PACK}"
        ) from error
