"""A and B in turns in one run: a machine that slows down meanwhile slows both."""

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
    """Photos a second: median, least and most over the turns; ratio: median over the turns of this to the first case.

    first: seconds that the first batch took, with all that is made only once.
    """

    name: str
    rate: float
    low: float
    high: float
    ratio: float
    first: float


def in_turns(cases: Sequence[Case], *, turns: int, seconds: float, most: int | None = None) -> list[Row]:
    """Each case once to warm up, then all of them `turns` times, for about `seconds` or `most` batches each."""
    firsts = [_seconds(case, 1)[0] for case in cases]
    sizes = [_batches(case, seconds, most) for case in cases]
    rates: list[list[float]] = [[] for _ in cases]
    for _ in range(turns):
        for case, size, measured in zip(cases, sizes, rates, strict=True):
            took, photos = _seconds(case, size)
            measured.append(photos / took)
    return [
        Row(
            case.name,
            statistics.median(own),
            min(own),
            max(own),
            statistics.median(a / b for a, b in zip(own, rates[0], strict=True)),
            first,
        )
        for case, own, first in zip(cases, rates, firsts, strict=True)
    ]


def _batches(case: Case, seconds: float, most: int | None) -> int:
    """How many fill the time, by the second batch, which nothing is made for any more."""
    size = max(1, round(seconds / _seconds(case, 1)[0]))
    return min(size, most) if most else size


def _seconds(case: Case, batches: int) -> tuple[float, int]:
    _settle()
    began = time.perf_counter()
    photos = case.work(batches)
    _settle()
    return time.perf_counter() - began, photos


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
