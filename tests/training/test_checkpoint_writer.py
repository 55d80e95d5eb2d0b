"""Checkpoints are written in the background, in order, and never after a failure."""

import threading
import time
from functools import partial

import pytest

from leafdist.system.errors import SaveError
from leafdist.training.checkpoint_writer import Writer


def test_requests_are_written_in_order() -> None:
    writer, gate, done = Writer(), threading.Event(), list[int]()
    began = time.monotonic()
    writer.submit(lambda: done.extend([] if gate.wait() else [0]))
    writer.submit(lambda: done.append(1))
    assert time.monotonic() - began < 1
    assert done == []
    gate.set()
    writer.submit(lambda: done.append(2))
    writer.wait()
    assert done == [1, 2]


def test_third_request_waits_for_memory() -> None:
    writer, done = Writer(), list[int]()

    def work(number: int) -> None:
        time.sleep(0.02)
        done.append(number)

    for number in range(6):
        writer.submit(partial(work, number))
        assert number - len(done) < 3
    writer.wait()
    assert done == [0, 1, 2, 3, 4, 5]


def test_failure_stops_writing_and_raises() -> None:
    writer, done = Writer(), list[int]()

    def full() -> None:
        raise OSError(28, "No space left on device", "last")

    writer.submit(full)
    writer.submit(lambda: done.append(1))
    for _ in range(2):
        with pytest.raises(SaveError, match=r"No space left on device.*Earlier checkpoints are intact"):
            writer.wait()
    assert writer.broken
    assert done == []
