"""The loader where shared memory is short or its workers bring nothing."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from leafdist.config.schema import DataConfig
from leafdist.data import loader, loader_workers
from leafdist.data.index import scan
from leafdist.data.loader import Loader
from leafdist.data.loader_workers import LoaderError
from leafdist.data.open import worker_count
from leafdist.data.plan import Share
from leafdist.data.source import FolderSource, Rows
from leafdist.distributed.watchdog import Watchdog

FULL = OSError(28, "No space left on device")


class Stuck(FolderSource):
    """A disk that answers for the first photos only."""

    def read(self, indices: NDArray[np.int64]) -> Rows:
        if indices[0] > 2:
            time.sleep(600)
        return super().read(indices)


def batches_of(made: Loader) -> list[np.ndarray]:
    shares = [Share.undrawn(np.array(indices)) for indices in ([3, 1], [0], [4, 2, 5])]
    return [batch.images.numpy() for batch in made.batches(shares)]


@pytest.mark.parametrize("short", ["no semaphore", "no room", "allocation fails"])
def test_short_shared_memory_changes_nothing(
    short: str, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise FULL if short == "no semaphore" else RuntimeError(str(FULL))

    source, cpu = FolderSource(scan(photos, "train"), 16), torch.device("cpu")
    expected = batches_of(Loader(source, cpu, 0))
    loader_workers.startable.cache_clear()
    if short == "no semaphore":
        monkeypatch.setattr(loader_workers, "BoundedSemaphore", fail)
        made = Loader(source, cpu, 2)
        assert made.loader.num_workers == 0
        loader_workers.startable.cache_clear()
    else:  # what happens in a worker, here
        monkeypatch.setattr(loader_workers, "RESERVE", 1 << 60 if short == "no room" else 0)
        monkeypatch.setattr(torch.Tensor, "share_memory_", fail)
        made = Loader(source, cpu, 0)
        made.loader.dataset.by_worker = True  # type: ignore[attr-defined]
    for found, wanted in zip(batches_of(made), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert "--shm-size=8g" in said[0]


def test_silent_workers_end_the_wait(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "TICK", 0.2)
    calls = list[float]()
    made = Loader(Stuck(scan(photos, "train"), 16), torch.device("cpu"), 1, watchdog=Watchdog(None, 0, 1, 2))
    made.idle = lambda: calls.append(time.monotonic())
    with pytest.raises(LoaderError, match=r"no batch within train\.timeout_minutes.*data\.workers=0"):
        list(made.batches([Share.undrawn(np.array([0])), Share.undrawn(np.array([3]))]))
    assert len(calls) >= 2


def test_a_dead_disk_ends_the_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    left, statuses = threading.Event(), list[int]()

    def leave(status: int) -> None:
        statuses.append(status)
        left.set()

    monkeypatch.setattr("leafdist.distributed.watchdog.GRACE", 0.1)
    monkeypatch.setattr("leafdist.distributed.watchdog.os._exit", leave)
    watchdog = Watchdog(None, 0, 1, 0.1)
    with watchdog.watching(lambda reason, lost: statuses.append(int(lost))), watchdog.reading():
        assert left.wait(20)
    assert statuses[:2] == [0, 1], "recorded as failed, not to be requeued"
    assert "no photos could be read" in capsys.readouterr().err


def test_gpus_leave_a_core_to_launch() -> None:
    folder = DataConfig(source="folder")
    assert [worker_count(folder, cpus, "cuda") for cpus in (1, 2, 8)] == [1, 1, 7]
    assert worker_count(folder, 8, "cpu") == 8
    assert worker_count(DataConfig(workers=9), 8, "cuda") == 9
