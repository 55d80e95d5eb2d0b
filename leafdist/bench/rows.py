"""What was measured, as a table, as JSON, and in a sentence: what bounds the training."""

import math
import platform
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from leafdist.bench.timing import Row
from leafdist.distributed.runtime import Runtime

BOUND = 0.95  # of the ceiling, from which on it is the model that bounds


def machine(runtime: Runtime) -> dict[str, Any]:
    """What the figures hold for."""
    facts: dict[str, Any] = {"host": platform.node(), "processor": processor(), "cores": runtime.cpus}
    if runtime.device.type == "cuda":
        card = torch.cuda.get_device_properties(runtime.device)
        facts |= {"device": card.name, "device_memory": card.total_memory}
    return facts | {"torch": torch.__version__, "precision": runtime.precision}


def processor() -> str:
    """Its name, from the kernel where it has one."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def table(title: str, rows: Sequence[Row]) -> str:
    """Markdown."""
    width = max(len(row.name) for row in rows)
    lines = [f"| {title:{width}} | photos/s | least | most | ratio | first |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        rates = " | ".join(f"{rate:,.1f}" for rate in (row.rate, row.low, row.high))
        lines.append(f"| {row.name:{width}} | {rates} | {row.ratio:.3f} | {row.first:.2f} s |")
    return "\n".join(lines)


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def verdict(training: Sequence[Row], loading: Sequence[Row]) -> list[str]:
    """A line for the pack and one for the folder: bound by the model, or by the loader and what it then needs."""
    ceiling = training[0].rate
    lines = []
    for row in training[1:]:
        if row.ratio >= BOUND:
            lines.append(f"{row.name}: model-bound, at {row.ratio:.0%} of the ceiling")
        else:
            lines.append(f"{row.name}: {needs(ceiling, loading) or 'loader-bound'}, at {row.ratio:.0%} of the ceiling")
    return lines


def needs(ceiling: float, loading: Sequence[Row]) -> str | None:
    """How many loader workers would feed the model, by the rate of one of them."""
    for row in loading:
        if row.name == "folder, 1 worker(s)":
            return f"loader-bound: needs {math.ceil(ceiling / row.rate)} worker(s), each on a core of its own"
    return None
