"""Feeds a rank its rows: PyTorch's DataLoader over the shares that the plan drew, on to the device."""

import atexit
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from leafdist.data.plan import Share
from leafdist.data.source import FolderSource, PackSource, Source
from leafdist.system import processes as children
from leafdist.system.errors import UnreadablePhotoError

SLICE = 4096  # photos of a pack that are in the host's memory on their way to the device


class LoaderError(OSError):
    """A worker process is gone."""


@dataclass(frozen=True)
class Batch:
    """The photos of a share: images uint8 (B,H,W,3), labels and indices int64 (B,), draws, on one device.

    draws: float64 (B,4), those of the share; (0,4) in evaluation.
    """

    share: Share
    images: Tensor
    labels: Tensor
    indices: Tensor
    draws: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Everything that lies on the device."""
        return self.images, self.labels, self.indices, self.draws

    def to(self, device: torch.device) -> "Batch":
        """Start to copy it to `device`; the host does not wait."""
        return Batch(self.share, *(tensor.to(device, non_blocking=True) for tensor in self.tensors))

    def pin_memory(self) -> "Batch":
        """Copy it to pinned memory; called by DataLoader."""
        return Batch(self.share, *(tensor.pin_memory() for tensor in self.tensors))


class _Shares(Dataset["Batch | UnreadablePhotoError"]):
    """One item is one batch: no collation, and one transfer per batch between processes."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getitem__(self, share: Share) -> Batch | UnreadablePhotoError:
        try:
            rows = self.source.read(share.indices)
        except UnreadablePhotoError as error:
            return error  # raised by a worker, it would reach the user wrapped in two tracebacks
        arrays = *rows, share.indices, share.draws
        return Batch(share, *(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


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
    """

    def __init__(self, source: Source, device: torch.device, workers: int, *, resident: bool = False) -> None:
        self.source, self.device = source, device
        self.pack = _moved(source, device) if resident and isinstance(source, PackSource) else None
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.sampler = _Planned()
        workers = workers if isinstance(source, FolderSource) else 0
        # on a CPU the network has the same cores: its threads wait for the slowest of them, so workers give way
        prepare = partial(_prepare, 19 if device.type == "cpu" else 0)
        self.loader = DataLoader(
            _Shares(source),
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
            return _gather(self.pack, labels, shares)
        return _copied_ahead(self._read(shares), self.stream) if self.stream else self._read(shares)

    def _read(self, shares: Iterable[Share]) -> Iterator[Batch]:
        """Batches in the host's memory, pinned where a GPU is to have them."""
        self.sampler.shares = shares
        with children.deaf(), _explained():
            batches = iter(self.loader)
        if self.loader.num_workers:
            atexit.unregister(children.end_all)
            atexit.register(children.end_all)  # after PyTorch's own, so that it comes before
        while True:
            with _explained():
                batch = next(batches, None)
            if batch is None:
                return
            if isinstance(batch, UnreadablePhotoError):
                raise batch
            yield batch


def _moved(source: PackSource, device: torch.device) -> Tensor:
    """The whole pack in the device's memory; no more than a slice of it is in the host's at a time."""
    pack = torch.empty(source.rows.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(pack), SLICE):
        pack[start : start + SLICE] = torch.from_numpy(np.array(source.rows[start : start + SLICE]))
    return pack


def _gather(images: Tensor, labels: Tensor, shares: Iterable[Share]) -> Iterator[Batch]:
    """Batches from a pack in the device's memory: only the indices and draws cross to it."""
    for share in shares:
        indices, draws = (_sent(array, images.device) for array in (share.indices, share.draws))
        yield Batch(share, images[indices], labels[indices], indices, draws)


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


@contextmanager
def _explained() -> Iterator[None]:
    """Raises LoaderError for a worker that is gone, which PyTorch notices within 5 seconds."""
    try:
        yield
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise LoaderError(
            f"a loader worker was killed, by the system for want of memory most likely ({error}). Lower data.workers, "
            "or set data.source=pack, which needs none"
        ) from error
