"""`leafdist doctor`: what this machine, or every node of this launch, can do for a training, and what is wrong."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from leafdist.config.schema import Config
from leafdist.doctor import cores, folders, packages, services, slurm
from leafdist.doctor.diagnosis import Finding, error
from leafdist.doctor.launch import Place, find_place
from leafdist.doctor.summary import Report

if TYPE_CHECKING:
    from leafdist.doctor.meeting import Meeting

Check = Callable[[], Finding | Iterable[Finding]]


def examine(config: Config, processes: int | None, seconds: float) -> Report | None:
    """None on all ranks but the first. `processes` are started where no launcher has; `seconds`: patience with others.

    Raises ValueError where this process cannot meet the others of its launch.
    """
    began, place = time.monotonic(), find_place(os.environ)
    found = list(safely("packages", packages.check)) if place.first_here else []
    if any(finding.text.startswith("import ") for finding in found):  # nothing that follows would work
        return Report.of([(place.node, one) for one in found], place, time.monotonic() - began)
    if place.world == 1:
        found += alone(config, place, processes, seconds)
        return Report.of([(place.node, one) for one in found], place, time.monotonic() - began)
    from leafdist.doctor.meeting import Meeting

    meeting = Meeting(place, seconds)
    found += together(config, meeting, seconds)
    meeting.hand_over(found)
    return Report.of(meeting.collect(), place, time.monotonic() - began) if place.rank == 0 else None


def alone(config: Config, place: Place, processes: int | None, seconds: float) -> Iterator[Finding]:
    """No launcher: as many processes as asked for, else one a GPU, add up over loopback; on CPUs two at least."""
    import torch

    from leafdist.doctor.collective import among

    cards = torch.cuda.device_count()
    count = processes or max(1, cards)
    planned = replace(place, world=count, local_world=count)
    yield from safely("all-reduce", lambda: among(count if cards else max(2, count), seconds))
    yield from of_node(config, planned)


def together(config: Config, meeting: "Meeting", seconds: float) -> Iterator[Finding]:
    """All of a launch add up first, while nothing else is going on."""
    from leafdist.doctor.collective import all_reduce
    from leafdist.doctor.shared import check_shared

    yield from safely("all-reduce", lambda: all_reduce(meeting.place, seconds))
    yield from safely("locks", lambda: check_shared(meeting, Path(config.run.folder)))
    if meeting.place.first_here:
        yield from of_node(config, meeting.place)


def of_node(config: Config, place: Place) -> Iterator[Finding]:
    """What all processes of a node share."""
    from leafdist.doctor import decoding as loading
    from leafdist.doctor import gpus as device

    checks: dict[str, Check] = {
        "gpu": lambda: device.check_devices(place),
        "bf16": lambda: device.check_precision(config),
        "cpu": lambda: cores.check_cores(config, place),
        "shared memory": lambda: cores.check_shared_memory(config, place),
        "runs": lambda: folders.check_runs(config),
        "packs": lambda: folders.check_cache(config),
        "photos": lambda: loading.check_photos(config, place),
        "weights": lambda: services.check_weights(config),
        "wandb": lambda: services.check_wandb(config),
        "port": lambda: services.check_port(place),
        "slurm": lambda: slurm.check(os.environ, place),
        "clock": lambda: services.check_date(time.time()),
    }
    for name, check in checks.items():
        yield from safely(name, check)


def safely(name: str, check: Check) -> Iterator[Finding]:
    """A check that breaks down is a finding too, and the others go on."""
    try:
        found = check()
        yield from [found] if isinstance(found, Finding) else found
    except Exception as fault:  # noqa: BLE001 - it is told, as all that is found
        text = " ".join(f"this check broke down: {type(fault).__name__}: {fault}".split())
        yield error(name, text[:400], "Mend that; if leafdist is at fault, please report it")
