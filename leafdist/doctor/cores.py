"""CPU cores that may really be used, against those of the machine and what the settings ask for; shared memory."""

import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from leafdist.config.schema import Config
from leafdist.doctor.diagnosis import Finding, note, ok, warning
from leafdist.doctor.launch import Place
from leafdist.system.processes import usable_cores

AHEAD = 2  # batches that a worker of PyTorch's loader holds ready
BUSY = 2.0  # processes at work a core of the machine
COLLECTIVES = 64 << 20  # bytes of shared memory that NCCL may want


def check_cores(config: Config, place: Place) -> Iterator[Finding]:
    """Cores that can be used, against processes, threads and workers."""
    from leafdist.distributed.runtime import usable_cpus

    machine, mask, limit = os.cpu_count() or 1, usable_cores(), quota()
    share = usable_cpus(place.local_world, place.world)
    asked, before = config.data.workers, "ask for more: --cpus-per-task (Slurm), --cpus (Docker)"
    if limit is not None and limit < mask:
        text = f"a cgroup quota allows {limit:g} of {mask} cores: as many threads are started, and wait for each other"
        yield warning("cpu", text, f"OMP_NUM_THREADS={max(1, math.floor(limit))} and as many data.workers, or {before}")
    if mask < place.local_world:
        yield warning("cpu", f"{place.local_world} processes share {mask} core(s)", f"Start fewer, or {before}")
    elif mask == 1 < machine:
        text = f"one core of the {machine} of this machine may be used"
        yield warning("cpu", text, f"Look at `taskset -p $$`; {before}")
    elif mask < machine:
        yield note("cpu", f"{mask} of the {machine} cores of this machine may be used, {share} a process")
    else:
        yield ok("cpu", f"all {machine} cores may be used, {share} a process")
    if (load := os.getloadavg()[0]) > BUSY * machine:
        text = "other work keeps these cores busy (load {load:.1f}): figures here are lower than they would be alone"
        yield note("cpu", text, "See `top` for whose it is", load=load)
    if config.data.source == "folder" and asked != "auto" and int(asked) > share:
        text = f"data.workers={asked} a process, and {share} core(s) for each process"
        yield warning("cpu", text, f"data.workers={share} or auto, data.source=pack, or {before}")


def quota(mine: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """Cores' worth of time that cgroups, of either version, allow this process; None: no limit."""
    if not mine.exists():
        return None
    limits: list[float] = []
    for line in mine.read_text(encoding="utf-8").splitlines():
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


def check_shared_memory(config: Config, place: Place, folder: Path = Path("/dev/shm")) -> Finding:
    """What loader processes hand their batches over in."""
    from leafdist.distributed.runtime import usable_cpus

    data, share = config.data, usable_cpus(place.local_world, place.world)
    needed = COLLECTIVES
    if data.source == "folder":
        workers = share if data.workers == "auto" else int(data.workers)
        rows = math.ceil(config.train.batch_size / place.world)
        needed += place.local_world * workers * AHEAD * rows * data.resize**2 * 3
    way = "docker run --shm-size=8g or --ipc=host; else fewer data.workers, or data.source=pack, which needs none"
    if not folder.is_dir():
        return warning("shared memory", f"{folder} is missing", way)
    free, mebi = shutil.disk_usage(folder).free, 2**20
    if free < needed:
        text = f"{{free:,.0f}} MiB free in {folder}, {needed / mebi:,.0f} MiB may be needed"
        return warning("shared memory", text, way, free=free / mebi)
    return ok("shared memory", f"{{free:,.0f}} MiB free in {folder}", free=free / mebi)
