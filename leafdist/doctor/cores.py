"""CPU cores that may really be used, against what the settings ask for; shared memory."""

import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from leafdist.config.schema import Config
from leafdist.data.open import worker_count
from leafdist.distributed.runtime import usable_cpus
from leafdist.doctor.diagnosis import Finding, ok, warning
from leafdist.doctor.launch import Launch
from leafdist.system.console import counted
from leafdist.system.contention import slow_cores
from leafdist.system.processes import usable_cores

AHEAD = 2  # batches that a worker of PyTorch's loader holds ready
COLLECTIVES = 64 << 20  # bytes of shared memory that NCCL may want
MORE = "ask for more: --cpus-per-task (Slurm), --cpus (Docker)"


def check_cores(config: Config, launch: Launch) -> Iterator[Finding]:
    """Compare the cores that can be used with processes, threads and loader workers."""
    machine, cores = os.cpu_count() or 1, usable_cores()
    share, workers = usable_cpus(launch.local_world, launch.world), config.data.workers
    if slowed := slow_cores(share):
        yield warning("cpu", slowed.text, f"{slowed.way_out}; no more data.workers than cores left to you; or {MORE}")
    if cores < launch.local_world:
        yield warning(
            "cpu", f"{launch.local_world} processes share {counted(cores, 'core')}", f"Start fewer, or {MORE}"
        )
    elif cores == 1 < machine and not slowed:
        way = f"Look at `taskset -p $$` and at the container's quota; {MORE}"
        yield warning("cpu", f"one core of this machine's {machine} may be used", way)
    else:
        yield ok("cpu", f"{cores} of this machine's {machine} cores may be used, {share} per process")
    if config.data.source == "folder" and workers != "auto" and int(workers) > share:
        text = f"data.workers={workers} per process, and {counted(share, 'core')} for each process"
        yield warning("cpu", text, f"data.workers={share} or auto, data.source=pack, or {MORE}")


def check_shared_memory(config: Config, launch: Launch, folder: Path = Path("/dev/shm")) -> Finding:
    """Compare the room in `folder` with the batches that loader workers hand over in it."""
    data, needed = config.data, COLLECTIVES
    if data.source == "folder":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        workers = worker_count(data, usable_cpus(launch.local_world, launch.world), device)
        rows = math.ceil(config.train.batch_size / launch.world)
        needed += launch.local_world * workers * AHEAD * rows * int(data.resize) ** 2 * 3
    way = "docker run --shm-size=8g or --ipc=host; else fewer data.workers, or data.source=pack, which needs none"
    if not folder.is_dir():
        return warning("shared memory", f"{folder} is missing", way)
    free, text = shutil.disk_usage(folder).free, f"{{free:,.0f}} MiB free in {folder}"
    if free < needed:
        return warning("shared memory", f"{text}, {needed / 2**20:,.0f} MiB may be needed", way, {"free": free / 2**20})
    return ok("shared memory", text, figures={"free": free / 2**20})
