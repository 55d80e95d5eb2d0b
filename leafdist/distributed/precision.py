"""Precision: what `auto` takes on this device, and why."""

import re
from dataclasses import dataclass
from typing import Literal

import torch

from leafdist.distributed.devices import own_index, properties

Precision = Literal["no", "bf16", "fp16"]
AMP = {"bf16": torch.bfloat16, "fp16": torch.float16}
NO_TENSOR_CORES = re.compile(r"GTX|\bMX\d|\bT\d{3}")  # GTX 16xx, T600, T1000: Turing without them


@dataclass(frozen=True)
class Settled:
    """A precision, and in a few words why `auto` takes it; no words where the user chose."""

    precision: Precision
    why: str = ""

    def __str__(self) -> str:
        return f"{self.precision} (auto: {self.why})" if self.why else self.precision


def settle_precision(precision: str) -> Settled:
    """Settle `auto`: bf16 or fp16 where the device has it in hardware. Raises ValueError for what it cannot do."""
    if precision == "fp16" and not torch.cuda.is_available():
        raise ValueError(
            "train.precision=fp16: the CPU has no gradient scaling. Use bf16 or no; a run in fp16 needs GPUs to go on"
        )
    if precision != "auto":
        return Settled("bf16" if precision == "bf16" else "fp16" if precision == "fp16" else "no")
    if not torch.cuda.is_available():
        fast = torch.cpu.get_capabilities().get("avx512_bf16", False)
        return Settled("bf16", "this CPU has bf16") if fast else Settled("no", "this CPU has no bf16")
    card = properties(own_index())
    if card.major >= 8:
        return Settled("bf16", f"{card.name} has bf16")
    if card.major == 7 and not NO_TENSOR_CORES.search(card.name):
        return Settled("fp16", f"{card.name} has fp16 tensor cores and no bf16")
    return Settled("no", f"{card.name} has neither bf16 nor tensor cores")


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Mixed precision on `device`; disabled for `no`."""
    return torch.autocast(device.type, AMP.get(precision), enabled=precision in AMP)
