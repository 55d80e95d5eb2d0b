"""GPUs and their driver, and the precision that the device has in hardware."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from leafdist.config.schema import Config
from leafdist.doctor.diagnosis import Finding, error, note, ok, warning
from leafdist.doctor.launch import Place

BUSY = 0.9  # of a GPU's memory free: below, somebody else is at work there
INSTALL = "install a build for this driver: https://pytorch.org/get-started"


def check_devices(place: Place) -> Iterator[Finding]:
    """Of this node."""
    import torch

    with warnings.catch_warnings(record=True) as said:  # PyTorch warns, and goes on without
        warnings.simplefilter("always")
        usable = torch.cuda.is_available()
    if usable:
        yield from check_cards(place)
    else:
        yield without_gpu(" ".join(str(line.message) for line in said))


def without_gpu(said: str, root: Path = Path("/")) -> Finding:
    """Why there is none: hidden, no driver, one too old, a build without CUDA, or none at all. `root` is for tests."""
    import torch

    there = any(root.glob("dev/nvidia[0-9]*")) or (root / "proc/driver/nvidia/version").exists()
    given = os.environ.get("SLURM_GPUS_ON_NODE") or "0"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if there and hidden in ("", "-1"):
        return note("gpu", f"hidden by CUDA_VISIBLE_DEVICES={hidden!r}: training runs on the CPU", "unset it")
    if there and not torch.version.cuda:
        text = f"this node has an NVIDIA GPU, and PyTorch {torch.__version__} is built without CUDA"
        return error("gpu", text, INSTALL)
    if there:
        reason = " ".join((said or _reason()).split())[:300]
        text = f"this node has an NVIDIA GPU that PyTorch {torch.__version__} cannot use: {reason}"
        return error("gpu", text, f"Update the driver, or {INSTALL}")
    if given not in ("", "0"):
        text = f"Slurm gave this job {given} GPU(s) a node, and there is no NVIDIA driver here"
        return error("gpu", text, "In a container pass --nv (Apptainer) or --gpus all (Docker); else ask for GPU nodes")
    return note("gpu", "none: training runs on the CPU")


def _reason() -> str:
    import torch

    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as fault:
        return str(fault)
    return "no device"


def check_cards(place: Place) -> Iterator[Finding]:
    """Whether each local process has a card of its own that works."""
    import torch

    count, built = torch.cuda.device_count(), torch.cuda.get_arch_list()
    if place.local_world > count:
        text = f"{place.local_world} processes on this node and {count} GPU(s)"
        yield error("gpu", text, "Start one process a GPU: --num_processes, --ntasks-per-node")
    for number in range(count):
        card = torch.cuda.get_device_properties(number)
        free, whole = (size / 2**30 for size in torch.cuda.mem_get_info(number))
        name = f"GPU {number} {card.name}"
        try:
            square = torch.ones(64, 64, device=f"cuda:{number}")
            exact = bool(((square @ square) == 64).all())
        except RuntimeError as fault:
            yield error("gpu", f"{name} cannot compute: {' '.join(str(fault).split())[:200]}", INSTALL)
            continue
        if not exact:
            yield error("gpu", f"{name} computes wrongly", "Take another node, and tell its administrator")
        elif free < BUSY * whole:
            text = f"{name}: {{free:.1f}} of {{whole:.1f}} GiB free, the rest is in use"
            yield warning("gpu", text, "See nvidia-smi for whose it is", free=free, whole=whole)
        else:
            yield ok("gpu", f"{name}, {{whole:.0f}} GiB, compute capability {card.major}.{card.minor}", whole=whole)
        if built and f"sm_{card.major}{card.minor}" not in built and f"sm_{card.major}0" not in built:
            yield warning("gpu", f"{name}: PyTorch is built for {', '.join(built)} only", INSTALL)


def check_precision(config: Config) -> Finding:
    """Whether the device has the precision asked for in hardware."""
    from leafdist.distributed.runtime import resolve_precision

    asked = config.train.precision
    try:
        fast, chosen = resolve_precision("auto") == "bf16", resolve_precision(asked)
    except ValueError as fault:
        return error("bf16", str(fault).split(". ")[0], "Set train.precision=auto")
    if asked == "bf16" and not fast:
        text = "train.precision=bf16 is emulated here: slower than fp32"
        return warning("bf16", text, "train.precision=auto takes what the device has")
    hardware = "in hardware" if fast else "not in hardware"
    return ok("bf16", f"{hardware}; train.precision={asked} trains in {'fp32' if chosen == 'no' else chosen}")
