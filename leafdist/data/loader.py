"""Feeds a rank its rows: PyTorch's DataLoader over the shares that the plan drew, on to the device."""

import atexit
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from leafdist.data.loader_workers import MORE_SHARED, TOO_SMALL, NothingError, explained, startable, to_shared_memory
from leafdist.data.plan import Share
from leafdist.data.source import FolderSource, JoinedRows, PackSource, Source
from leafdist.distributed.watchdog import Watchdog
from leafdist.system import console, launched
from leafdist.system import processes as children
from leafdist.system.errors import UnreadablePhotoError

SLICE = 4096  # photos of a pack that are in the host's memory on their way to the device
PATIENCE = 600.0  # seconds without a batch, where nobody says how long
TICK = 5.0  # seconds without a batch from the workers after which `idle` is called, again and again


@dataclass(frozen=True)
class Batch:
    """The photos of a share: images uint8 (B,H,W,3), labels and indices int64 (B,), draws, on one device.

    draws: float64 (B,4 or more), those of the share; (0,4) in evaluation. masks: uint8 (B,H,W), of the leaves, where
    the source has them; none in evaluation.
    """

    share: Share
    images: Tensor
    labels: Tensor
    indices: Tensor
    draws: Tensor
    masks: Tensor | None = None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Everything that lies on the device, in the order of the fields."""
        every = self.images, self.labels, self.indices, self.draws
        return every if self.masks is None else (*every, self.masks)

    def to(self, device: torch.device) -> "Batch":
        """Start to copy it to `device`; the host does not wait."""
        return Batch(self.share, *(tensor.to(device, non_blocking=True) for tensor in self.tensors))

    def pin_memory(self) -> "Batch":
        """Copy it to pinned memory; called by DataLoader."""
        return Batch(self.share, *(tensor.pin_memory() for tensor in self.tensors))


@dataclass(frozen=True)
class _Piped:
    """A batch that crosses to this process through a pipe, which is slower than shared memory and needs none."""

    share: Share
    arrays: Sequence[np.ndarray]


class _Shares(Dataset["Batch | _Piped | UnreadablePhotoError"]):
    """One item is one batch: no collation, and one transfer per batch between processes."""

    def __init__(self, source: Source, *, by_worker: bool) -> None:
        self.source, self.by_worker = source, by_worker

    def __getitem__(self, share: Share) -> Batch | _Piped | UnreadablePhotoError:
        try:
            rows = self.source.read(share.indices)
        except UnreadablePhotoError as error:
            return error  # raised by a worker, it would reach the user wrapped in two tracebacks
        masks = self.source.masks if len(share.draws) else None
        more = (masks.read(share.indices),) if masks else ()
        arrays = [np.ascontiguousarray(array) for array in (*rows, share.indices, share.draws, *more)]
        tensors = list(map(torch.from_numpy, arrays))
        if self.by_worker and not to_shared_memory(tensors):
            return _Piped(share, arrays)
        return Batch(share, *tensors)


def _prepare(niceness: int, _: int) -> None:
    """Start a worker that ends with its parent."""
    children.leave_with_parent()
    os.nice(niceness)


class _Planned(Sampler[Any]):
    """Shares set anew for each pass, so that workers live as long as the run."""

    shares: Iterable[Share] = ()

    def __iter__(self) -> Iterator[Share]:
        return iter(self.shares)


class Loader:
    """Batches of `source` on `device`, in the order of the shares asked for.

    Only the folder source uses worker processes: reading a pack is one gather. `resident` keeps the pack on the device.
    `idle` is called while nothing comes from the workers; `watchdog` says how long that may last.
    """

    def __init__(
        self,
        source: Source,
        device: torch.device,
        workers: int,
        *,
        resident: bool = False,
        watchdog: Watchdog | None = None,
    ) -> None:
        self.source, self.device = source, device
        self.watchdog = watchdog or Watchdog(None, 0, 1, PATIENCE)
        self.idle: Callable[[], None] = lambda: None
        self.warned = False
        self.pack = self.masks = None
        self.backgrounds: Tensor | None = None  # photos to put behind leaves, on the device
        if resident and isinstance(source, PackSource):
            self.pack = moved(source.rows, device)
            self.masks = moved(source.masks.rows, device) if source.masks else None
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.sampler = _Planned()
        workers = startable(workers) if isinstance(source, FolderSource) else 0
        # on a CPU the network has the same cores: its threads wait for the slowest of them, so workers give way
        prepare = partial(_prepare, 19 if device.type == "cpu" else 0)
        self.loader = DataLoader(
            _Shares(source, by_worker=workers > 0),
            batch_size=None,
            sampler=self.sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            multiprocessing_context="forkserver" if workers else None,
            worker_init_fn=prepare if workers else None,
            pin_memory=device.type == "cuda",
        )

    def batches(self, shares: Iterable[Share]) -> Iterator[Batch]:
        """One batch per share. Raises UnreadablePhotoError, or LoaderError where a worker is gone."""
        if self.pack is not None:
            labels = torch.from_numpy(self.source.index.labels.astype(np.int64)).to(self.device)  # as they are now
            return _gather(self.pack, self.masks, labels, shares)
        return _copied_ahead(self._read(shares), self.stream) if self.stream else self._read(shares)

    def _read(self, shares: Iterable[Share]) -> Iterator[Batch]:
        """Batches in the host's memory, pinned where a GPU is to have them."""
        self.sampler.shares = shares
        with self.watchdog.reading(), children.deaf(), explained():
            batches = iter(self.loader)  # between passes it waits for all workers, and notices one that is gone
        if self.loader.num_workers:
            atexit.unregister(children.end_all)
            atexit.register(children.end_all)  # after PyTorch's own, so that it comes before
        while True:
            with self.watchdog.reading():
                batch = self._next(batches)
            if batch is None:
                return
            if isinstance(batch, UnreadablePhotoError):
                raise batch
            yield self._from_pipe(batch) if isinstance(batch, _Piped) else batch

    def _next(self, batches: Any) -> Batch | _Piped | UnreadablePhotoError | None:
        """The next item; None after the last."""
        began = time.monotonic()
        while True:
            try:
                if self.loader.num_workers:
                    batches._timeout = TICK  # for this wait only
                with explained():
                    return next(batches, None)
            except NothingError:
                if time.monotonic() - began > self.watchdog.stall:
                    raise
                self.idle()
            finally:
                batches._timeout = 0

    def _from_pipe(self, piped: _Piped) -> Batch:
        """Return the batch that found no room in shared memory; the first one warns."""
        if not self.warned and launched.speaks():
            console.warn(f"{TOO_SMALL}, which come through pipes, slower. Way out: {MORE_SHARED}")
        self.warned = True
        batch = Batch(piped.share, *map(torch.from_numpy, piped.arrays))
        return batch.pin_memory() if self.loader.pin_memory else batch


def moved(rows: NDArray[np.uint8] | JoinedRows, device: torch.device) -> Tensor:
    """Copy a whole pack into the device's memory; no more than a slice of it is in the host's at a time."""
    pack = torch.empty(rows.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(pack), SLICE):
        pack[start : start + SLICE] = torch.from_numpy(np.array(rows[start : start + SLICE]))
    return pack


def _gather(images: Tensor, masks: Tensor | None, labels: Tensor, shares: Iterable[Share]) -> Iterator[Batch]:
    """Batches from a pack in the device's memory: only the indices and draws cross to it."""
    for share in shares:
        indices, draws = (_sent(array, images.device) for array in (share.indices, share.draws))
        mine = None if masks is None or not len(share.draws) else masks[indices.clamp(max=len(masks) - 1)]
        yield Batch(share, images[indices], labels[indices], indices, draws, mine)


def _sent(array: NDArray[Any], device: torch.device) -> Tensor:
    """Start to copy an array to `device`, from pinned memory: the host need not wait, whatever its size."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def _copied_ahead(batches: Iterator[Batch], stream: torch.cuda.Stream) -> Iterator[Batch]:
    """Each batch crosses to the device on `stream` while the one before it is worked on."""
    waiting: deque[tuple[Batch, torch.cuda.Event]] = deque()

    def hand_over() -> Batch:
        batch, copied = waiting.popleft()
        copied.wait()  # the device does, not the host
        for tensor in batch.tensors:
            tensor.record_stream(torch.cuda.current_stream(stream.device))
        return batch

    for batch in batches:
        with torch.cuda.stream(stream):
            waiting.append((batch.to(stream.device), stream.record_event()))
        if len(waiting) > 1:
            yield hand_over()
    while waiting:
        yield hand_over()
