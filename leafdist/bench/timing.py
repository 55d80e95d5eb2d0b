"""Measures several things in turns in one run: a machine that slows down meanwhile slows all of them."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Case:
    """Something to measure: `work(n)` does n batches and returns how many photos that were."""

    name: str
    work: Callable[[int], int]


@dataclass(frozen=True)
class Row:
    """Photos per second (median, least and most of the turns); ratio: median of this rate over the first case's.

    first: seconds that the first batch took, with everything that is made only once.
    """

    name: str
    rate: float
    low: float
    high: float
    ratio: float
    first: float


def in_turns(cases: Sequence[Case], *, turns: int, seconds: float, most: int | None = None) -> list[Row]:
    """Run each case once to warm up, then all `turns` times, for about `seconds` or `most` batches each."""
    firsts = [timed(case, 1)[0] for case in cases]
    sizes = [_batches(case, seconds, most) for case in cases]
    rates: list[list[float]] = [[] for _ in cases]
    for _ in range(turns):
        for case, size, measured in zip(cases, sizes, rates, strict=True):
            took, photos = timed(case, size)
            measured.append(photos / took)
    rows = []
    for case, own, first in zip(cases, rates, firsts, strict=True):
        ratio = statistics.median(mine / base for mine, base in zip(own, rates[0], strict=True))
        rows.append(Row(case.name, statistics.median(own), min(own), max(own), ratio, first))
    return rows


def _batches(case: Case, seconds: float, most: int | None) -> int:
    """Return how many batches fill `seconds`, judged by a second batch: the first includes one-off work."""
    size = max(1, round(seconds / timed(case, 1)[0]))
    return min(size, most) if most else size


def timed(case: Case, batches: int) -> tuple[float, int]:
    """Run this many batches; return the seconds they took and their number of photos."""
    _synchronize()
    began = time.perf_counter()
    photos = case.work(batches)
    _synchronize()
    return time.perf_counter() - began, photos


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
