"""What was measured, as a table and in a sentence: what bounds the training."""

import math
import platform
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from leafdist.bench.timing import Row
from leafdist.distributed.runtime import Runtime
from leafdist.system.console import counted

BOUND = 0.95  # share of the ceiling from which on the model is the bound


@dataclass(frozen=True)
class Machine:
    """What the figures hold for; device_memory in bytes."""

    host: str
    processor: str
    cores: int
    torch: str
    precision: str
    device: str | None = None
    device_memory: int | None = None

    @classmethod
    def of(cls, runtime: Runtime) -> "Machine":
        """Describe the machine that this process runs on."""
        facts = cls(platform.node(), processor(), runtime.cpus, torch.__version__, runtime.precision)
        if runtime.device.type != "cuda":
            return facts
        card = torch.cuda.get_device_properties(runtime.device)
        return cls(**{**vars(facts), "device": card.name, "device_memory": card.total_memory})


def processor() -> str:
    """Its name, from the kernel where it has one."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def table(title: str, rows: Sequence[Row]) -> str:
    """Rates and ratios in Markdown."""
    width = max(len(row.name) for row in rows)
    lines = [f"| {title:{width}} | photos/s | least | most | ratio | first |", "| --- | --- | --- | --- | --- | --- |"]
    for row in rows:
        rates = " | ".join(f"{rate:,.1f}" for rate in (row.rate, row.low, row.high))
        lines.append(f"| {row.name:{width}} | {rates} | {row.ratio:.3f} | {row.first:.2f} s |")
    return "\n".join(lines)


def verdict(training: Sequence[Row], loading: Sequence[Row]) -> list[str]:
    """Say for each way to read photos whether model or loader is the limit, and how many workers would keep up."""
    ceiling = training[0].rate
    needs = "loader-bound"
    for row in loading:
        if row.name == "folder, 1 worker":
            needs += f": needs {counted(math.ceil(ceiling / row.rate), 'worker')}, each on a core of its own"
    return [
        f"{row.name}: {'model-bound' if row.ratio >= BOUND else needs}, at {row.ratio:.0%} of the ceiling"
        for row in training[1:]
    ]
