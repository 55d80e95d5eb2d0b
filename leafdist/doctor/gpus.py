"""GPUs and their driver, and the precision that the device has in hardware."""

from collections.abc import Iterator

import torch

from leafdist.config.schema import Config
from leafdist.distributed.devices import INSTALL, NoGpu, properties, why_no_gpu, without_kernels
from leafdist.distributed.precision import settle_precision
from leafdist.doctor.diagnosis import Finding, error, note, ok, warning
from leafdist.doctor.launch import Launch
from leafdist.system.console import counted

BUSY = 0.9  # of a GPU's memory: with less free, somebody else is using it


def check_devices(launch: Launch) -> Iterator[Finding]:
    """Check the GPUs of this node, or why there is none."""
    if missing := why_no_gpu():
        yield without_gpu(missing)
        return
    if launch.local_world > (count := torch.cuda.device_count()) > 1:  # one: each process may see its own alone
        text = f"{launch.local_world} processes on this node and {counted(count, 'GPU')}"
        yield error("gpu", text, "Start one process per GPU: --num_processes, --ntasks-per-node")
    for index in range(count):
        yield check_gpu(index)


def without_gpu(missing: NoGpu) -> Finding:
    """Why there is none."""
    grade = error if missing.remedy and not missing.chosen else note
    return grade("gpu", missing.text, missing.remedy)


def check_gpu(index: int) -> Finding:
    """Whether a GPU computes and is free."""
    if unusable := without_kernels(index):
        return without_gpu(unusable)
    gpu = properties(index)
    free, total = (size / 2**30 for size in torch.cuda.mem_get_info(index))
    name, figures = f"GPU {index} {gpu.name}", {"free": free, "total": total}
    try:
        square = torch.ones(64, 64, device=f"cuda:{index}")
        (square @ square).sum().item()
    except RuntimeError as fault:
        return error("gpu", f"{name} cannot compute: {' '.join(str(fault).split())[:200]}", INSTALL)
    text = f"{name}, compute capability {gpu.major}.{gpu.minor}: {{free:.1f}} of {{total:.1f}} GiB free"
    if free < BUSY * total:
        return warning("gpu", f"{text}, the rest is in use", "nvidia-smi shows who uses it", figures)
    return ok("gpu", text, figures=figures)


def check_precision(config: Config) -> Finding:
    """Whether the device has the precision asked for in hardware."""
    asked = config.train.precision
    try:
        auto, chosen = settle_precision("auto"), settle_precision(asked).precision
    except ValueError as fault:
        return error("bf16", str(fault).split(". ")[0], "Set train.precision=auto")
    if asked == "bf16" != auto.precision:
        text = "train.precision=bf16 is emulated here: slower than fp32"
        return warning("bf16", text, "train.precision=auto takes what the device has")
    return ok("bf16", f"{auto.why}; train.precision={asked} trains in {'fp32' if chosen == 'no' else chosen}")
