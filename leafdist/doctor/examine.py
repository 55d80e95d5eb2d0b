"""`leafdist doctor`: what this machine, or every node of this launch, can do for a training, and what is wrong."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leafdist.config.schema import Config
from leafdist.doctor import packages
from leafdist.doctor.diagnosis import Finding, Report, error, report
from leafdist.doctor.launch import Launch, find_launch

if TYPE_CHECKING:
    from leafdist.doctor.meeting import Meeting

Check = Callable[[], Finding | Iterable[Finding]]


def examine(config: Config, processes: int | None, seconds: float) -> Report | None:
    """Run all checks; None on all ranks but the first. Raises ValueError where rank 0 cannot be reached.

    processes: how many to start for the all-reduce where there is no launcher. seconds: patience with other processes.
    """
    began, launch = time.monotonic(), find_launch(os.environ)
    found = list(safely("packages", packages.check)) if launch.local_rank == 0 else []
    broken = any(finding.text.startswith("import ") for finding in found)  # no other check would run
    if launch.world == 1 or broken:
        found += [] if broken else alone(config, launch, processes, seconds)
        return report([(launch.node, one) for one in found], launch.world, time.monotonic() - began)
    from leafdist.doctor.meeting import Meeting

    meeting = Meeting(launch, seconds)
    found += together(config, meeting, seconds)
    meeting.hand_over(found)
    return report(meeting.collect(), launch.world, time.monotonic() - began) if launch.rank == 0 else None


def alone(config: Config, launch: Launch, processes: int | None, seconds: float) -> Iterator[Finding]:
    """Examine this machine as a launch of `processes`, or one per GPU, would find it."""
    import torch

    from leafdist.doctor.all_reduce import among

    gpus = torch.cuda.device_count()
    count = processes or max(1, gpus)
    # a sum needs two; a second process on the only GPU would fail by itself
    yield from safely("all-reduce", lambda: among(count if gpus else max(2, count), seconds))
    planned = replace(launch, world=count, local_world=count)
    yield from safely("imports", lambda: of_node(config, planned))


def together(config: Config, meeting: "Meeting", seconds: float) -> Iterator[Finding]:
    """Sum over all processes of a launch while nothing else goes on; then one process per node examines it."""
    from leafdist.doctor.all_reduce import all_reduce
    from leafdist.doctor.folders import check_shared

    yield from safely("all-reduce", lambda: all_reduce(meeting.launch, seconds))
    yield from safely("locks", lambda: check_shared(meeting, Path(config.run.folder)))
    if meeting.launch.local_rank == 0:
        yield from safely("imports", lambda: of_node(config, meeting.launch))


def of_node(config: Config, launch: Launch) -> Iterator[Finding]:
    """Check what all processes of a node share."""
    from leafdist.doctor import cores, decoding, folders, gpus, services, slurm

    checks: dict[str, Check] = {
        "gpu": lambda: gpus.check_devices(launch),
        "bf16": lambda: gpus.check_precision(config),
        "cpu": lambda: cores.check_cores(config, launch),
        "shared memory": lambda: cores.check_shared_memory(config, launch),
        "runs": lambda: folders.check_runs(config),
        "packs": lambda: folders.check_cache(config),
        "photos": lambda: decoding.check_photos(config, launch),
        "weights": lambda: services.check_weights(config),
        "wandb": lambda: services.check_wandb(config),
        "slurm": lambda: slurm.check(os.environ, launch),
    }
    for name, check in checks.items():
        yield from safely(name, check)


def safely(name: str, check: Check) -> Iterator[Finding]:
    """Turn an exception of a check into a finding, so that the other checks still run."""
    try:
        found = check()
        yield from [found] if isinstance(found, Finding) else found
    except Exception as fault:  # noqa: BLE001 - it is reported as an error
        text = " ".join(f"this check failed itself: {type(fault).__name__}: {fault}".split())
        yield error(name, text[:400], "Fix that; if leafdist is at fault, please report it")
