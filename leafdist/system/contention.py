"""Cores that are busy with other programs, or that a quota keeps from running: threads wait for the slowest of them."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from leafdist.system.console import counted

SECONDS = 0.3  # of looking at what the cores do while this program waits
BUSY = 0.5  # cores that others may use before it is worth a word
IDLE = slice(3, 5)  # of the times of a core in /proc/stat: idle, and waiting for a disk


@dataclass(frozen=True)
class Slowed:
    """Why a step is slower than the cores promise, and what to set."""

    text: str
    way_out: str


def slow_cores(threads: int) -> Slowed | None:
    """Tell why `threads` on the usable cores would wait for each other; None where they do not. Takes 0.3 s."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    limit = quota()
    if limit is not None and limit < threads:  # less than one core: usable_cores heeds larger quotas
        text = f"a cgroup quota allows {limit:g} of {counted(len(cores), 'core')}"
        return Slowed(text, "Raise the quota, or use another machine")
    taken = busy(set(cores))
    if taken < BUSY or (limit is not None and limit <= len(cores) - taken):
        return None
    few = max(1, round(len(cores) - taken))
    text = f"other programs keep {taken:.1f} of {counted(len(cores), 'core')} busy"
    if threads == 1 or few == len(cores):
        return Slowed(text, "Wait until they end, or use another machine")
    chosen = ",".join(map(str, cores[:few]))
    return Slowed(f"{text}, and {threads} threads wait for the slowest of them", f"Start it with `taskset -c {chosen}`")


def busy(cores: set[int], stat: Path = Path("/proc/stat")) -> float:
    """Cores' worth of time that went to others than this process; 0 where the system does not say."""
    if not stat.exists():
        return 0.0
    before, own, began = _ticks(cores, stat), time.process_time(), time.monotonic()
    time.sleep(SECONDS)
    passed = [now - then for now, then in zip(_ticks(cores, stat), before, strict=True)]
    if not (total := sum(passed)):  # sandboxes show zeros, or number the cores otherwise
        return 0.0
    share = 1 - sum(passed[IDLE]) / total
    return max(0.0, len(cores) * share - (time.process_time() - own) / (time.monotonic() - began))


def _ticks(cores: set[int], stat: Path) -> list[int]:
    """The times of these cores added up: user, nice, system, idle, waiting for a disk, interrupts, stolen."""
    rows = [line.split() for line in stat.read_text(encoding="utf-8").splitlines() if line.startswith("cpu")]
    times = ([*map(int, row[1:9])] for row in rows if row[0][3:] in map(str, cores))
    return [sum(column) for column in zip(*times, strict=True)]


def quota(mine: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Cores' worth of time that cgroups, of either version, allow this process; None: no limit."""
    limits = list[float]()
    for line in mine.read_text(encoding="utf-8").splitlines() if mine.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = root / controllers if controllers else root
        inner = top / path.lstrip("/")
        limits += filter(None, map(_limit, [inner, *inner.parents][: len(inner.relative_to(top).parts) + 1]))
    return min(limits, default=None)


def _limit(group: Path) -> float | None:
    try:
        if (group / "cpu.max").exists():
            allowed, period = (group / "cpu.max").read_text().split()
        else:
            allowed, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(allowed) / int(period) if int(allowed) > 0 else None
    except (OSError, ValueError):  # no such file; "max"
        return None
