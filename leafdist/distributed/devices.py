"""Which GPU a process gets, and why a job that was given GPUs has none that PyTorch can use."""

import os
import re
import socket
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from leafdist.system.console import counted

INSTALL = "install a build of PyTorch for this driver: https://pytorch.org/get-started"
WHEELS = "https://download.pytorch.org/whl/cu126"  # the last with kernels for cards before Turing
OLD_CARD = f"Install a build that has: pip install --force-reinstall torch torchvision --index-url {WHEELS}"


@dataclass(frozen=True)
class NoGpu:
    """Why PyTorch has no GPU. remedy: empty where there is none to be had; chosen: the user hid it."""

    text: str
    remedy: str = ""
    chosen: bool = False


def why_no_gpu(root: Path = Path("/")) -> NoGpu | None:
    """Why there is none: hidden, no driver, an old one, a build without CUDA, no GPU. `root` is for tests."""
    with warnings.catch_warnings(action="ignore"):  # of an old driver, which is told below
        if torch.cuda.is_available():
            return None
    there = any(root.glob("dev/nvidia[0-9]*")) or (root / "proc/driver/nvidia/version").exists()
    given, hidden = os.environ.get("SLURM_GPUS_ON_NODE") or "0", os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden in ("", "-1") and (there or given != "0"):
        return NoGpu(f"hidden by CUDA_VISIBLE_DEVICES={hidden!r}: training runs on the CPU", "Unset it", chosen=True)
    if there:
        text = f"this node has an NVIDIA GPU that PyTorch {torch.__version__} cannot use: {_reason()}"
        return NoGpu(text, f"Update the driver, or {INSTALL}")
    if given != "0":
        text = f"Slurm gave this job GPUs ({given} per node), and there is no NVIDIA driver here"
        return NoGpu(text, "In a container pass --nv (Apptainer) or --gpus all (Docker); else ask for GPU nodes")
    return NoGpu("none: training runs on the CPU")


def without_kernels(index: int) -> NoGpu | None:
    """Why this build of PyTorch cannot compute on GPU number `index`: it has no kernels for that card; else None."""
    built = [arch for arch in torch.cuda.get_arch_list() if re.fullmatch(r"(sm|compute)_\d+", arch)]
    if not built:
        return None
    card, numbers = properties(index), [int(arch.partition("_")[2]) for arch in built]
    own = 10 * card.major + card.minor
    for arch, number in zip(built, numbers, strict=True):  # kernels run on their own generation, PTX on later ones too
        if number <= own and (number // 10 == card.major or arch.startswith("compute")):
            return None
    text = f"GPU {index} {card.name} has compute capability {card.major}.{card.minor}, and PyTorch {torch.__version__}"
    return NoGpu(f"{text} has no kernels for it", OLD_CARD if own < min(numbers) else f"I{INSTALL[1:]}")


def own_index() -> int:
    """Return the number of this process's GPU."""
    return int(os.environ.get("LOCAL_RANK") or 0) % torch.cuda.device_count()


def properties(index: int) -> Any:
    """Return what PyTorch knows of a GPU, without its page of warnings of a card that it has no kernels for."""
    with warnings.catch_warnings(action="ignore"):
        return torch.cuda.get_device_properties(index)


def _reason() -> str:
    if not torch.version.cuda:
        return "it is built without CUDA"
    try:
        with warnings.catch_warnings(action="ignore"):
            torch.cuda.init()
    except (RuntimeError, AssertionError) as fault:
        return " ".join(str(fault).split())[:300]
    return "no device"


def check_devices() -> None:
    """Raises ValueError where a process would train on a CPU beside GPUs, or would have no GPU of its own.

    Where a process sees one GPU alone, as with --gpus-per-task=1, that is its own: number 0, whatever its local rank.
    """
    missing, expected = why_no_gpu(), os.environ.get("LEAFDIST_EXPECT_DEVICE", "")
    if missing is not None:
        if expected == "cpu" or (expected != "cuda" and (missing.chosen or not missing.remedy)):
            return
        way_out = missing.remedy or "Ask for a node with GPUs"
        text = missing.text if missing.remedy else "LEAFDIST_EXPECT_DEVICE=cuda, and this node has no GPU"
        raise ValueError(f"{text}. {way_out}. To train on CPUs, set LEAFDIST_EXPECT_DEVICE=cpu")
    cards = torch.cuda.device_count()
    here = max(int(os.environ.get("LOCAL_WORLD_SIZE") or 1), int(os.environ.get("LOCAL_RANK") or 0) + 1)
    if cards == 1 < here:
        os.environ["LOCAL_RANK"] = "0"  # what Accelerate takes the GPU's number from
    elif here > cards:
        raise ValueError(f"{here} processes on a node with {counted(cards, 'usable GPU')}: start one per GPU")
    if unusable := without_kernels(own_index()):
        raise ValueError(f"{unusable.text}. {unusable.remedy}. To train on CPUs, set CUDA_VISIBLE_DEVICES=''")


def identity(device: torch.device) -> tuple[str, str] | None:
    """Return host and id of the GPU, different on every rank that has one of its own; None on a CPU."""
    if device.type != "cuda":
        return None
    return socket.gethostname(), str(torch.cuda.get_device_properties(device).uuid)


def check_own(owners: list[tuple[str, str] | None]) -> None:
    """Raises ValueError where two ranks have the same GPU; `owners`: each rank's `identity`."""
    for rank, owner in enumerate(owners):
        if owner is not None and owner in owners[:rank]:
            raise ValueError(
                f"ranks {owners.index(owner)} and {rank} share a GPU of {owner[0]}: start one process per GPU, or give "
                "each task its own (--gpus-per-task=1)"
            )
