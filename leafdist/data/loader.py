"""Feeds a rank its rows: PyTorch's DataLoader over index lists that the plan drew, on to the device."""

import atexit
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from leafdist.data.source import FolderSource, PackSource, Source
from leafdist.system import processes as children
from leafdist.system.errors import UnreadablePhotoError

Batch = tuple[Tensor, Tensor, Tensor]
Indices = NDArray[np.int64]
SLICE = 4096  # photos of a pack that are in the host's memory on their way to the device


class LoaderError(OSError):
    """A worker process is gone."""


class _Rows(Dataset["Batch | UnreadablePhotoError"]):
    """One item is one batch: no collation, one transfer a batch between processes."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __getitem__(self, indices: Indices) -> Batch | UnreadablePhotoError:
        try:
            rows = self.source.read(indices)
        except UnreadablePhotoError as error:
            return error  # raised by a worker, it would reach the user wrapped in two tracebacks
        images, labels, places = (torch.from_numpy(np.ascontiguousarray(array)) for array in rows)
        return images, labels, places


def _prepare(_: int) -> None:
    children.leave_with_parent()


def _prepare_beside_training(worker: int) -> None:
    """On a CPU the network has the same cores: its threads wait for the slowest of them, so workers give way."""
    _prepare(worker)
    os.nice(19)


class _Planned(Sampler[Any]):
    """Index lists set anew for each pass, so that workers live as long as the run."""

    batches: Iterable[Indices] = ()

    def __iter__(self) -> Iterator[Indices]:
        return iter(self.batches)


class Loader:
    """`for images, labels, indices in loader.batches(lists_of_indices)`, on `device`, in that order.

    uint8 (B,H,W,3), int64 (B,), int64 (B,). Only the folder source uses worker processes: a pack is one gather.
    """

    def __init__(self, source: Source, device: torch.device, workers: int, *, resident: bool = False) -> None:
        self.source, self.device = source, device
        self.pack: Tensor | None = None
        if resident and isinstance(source, PackSource):
            self.pack = _moved(source, device)
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self.sampler = _Planned()
        workers = workers if isinstance(source, FolderSource) else 0
        prepare = _prepare_beside_training if device.type == "cpu" else _prepare
        self.loader = DataLoader(
            _Rows(source),
            batch_size=None,
            sampler=self.sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
            multiprocessing_context="forkserver" if workers else None,
            worker_init_fn=prepare if workers else None,
            pin_memory=device.type == "cuda",
        )

    def batches(self, indices: Iterable[Indices] | Sequence[Indices]) -> Iterator[Batch]:
        """A batch a list. Raises UnreadablePhotoError or LoaderError."""
        if self.pack is not None:
            labels = torch.from_numpy(self.source.index.labels.astype(np.int64)).to(self.device)  # as they are now
            yield from _gather(self.pack, labels, indices)
            return
        yield from _copied_ahead(self._read(indices), self.stream) if self.stream else self._read(indices)

    def _read(self, indices: Iterable[Indices]) -> Iterator[Batch]:
        """In the host's memory, pinned where a GPU is to have it."""
        self.sampler.batches = indices
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
    """The whole pack in the device's memory; in the host's a slice at a time."""
    count, side = len(source.index), source.read(np.arange(1))[0].shape[1]
    pack = torch.empty((count, side, side, 3), dtype=torch.uint8, device=device)
    for start in range(0, count, SLICE):
        rows = np.arange(start, min(start + SLICE, count))
        pack[start : start + len(rows)] = torch.from_numpy(source.read(rows)[0])
    return pack


def _gather(images: Tensor, labels: Tensor, indices: Iterable[Indices]) -> Iterator[Batch]:
    """From a pack in the device's memory: what crosses to it are the indices."""
    for rows in indices:
        places = torch.from_numpy(rows).to(images.device, non_blocking=True)
        yield images[places], labels[places], places


def _copied_ahead(batches: Iterator[Batch], stream: torch.cuda.Stream) -> Iterator[Batch]:
    """Each batch crosses to the device on this stream, while the one before it is worked on."""
    device = stream.device
    waiting: deque[tuple[list[Tensor], torch.cuda.Event]] = deque()

    def hand_over() -> Batch:
        tensors, copied = waiting.popleft()
        copied.wait()  # the device does, not the host
        for tensor in tensors:
            tensor.record_stream(torch.cuda.current_stream(device))
        images, labels, places = tensors
        return images, labels, places

    for batch in batches:
        with torch.cuda.stream(stream):
            moved = [tensor.to(device, non_blocking=True) for tensor in batch]
            waiting.append((moved, stream.record_event()))
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
