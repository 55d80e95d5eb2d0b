"""One rank of a small network with synchronized BatchNorm, held against PyTorch's own on the whole batch."""

import sys
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.distributed as dist
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))
from leafdist.data.plan import chunk
from leafdist.models import sync_batchnorm
from leafdist.models.batchnorm import RunningStatistics
from leafdist.models.sync_batchnorm import synchronize
from tests.helpers import cuda_batchnorm


def network() -> nn.Sequential:
    torch.manual_seed(1)
    stages = (
        nn.Conv2d(3, 8, 3, bias=False),
        BatchNormAct2d(8),  # with its ReLU
        nn.Conv2d(8, 4, 3, bias=False),
        nn.BatchNorm2d(4),
    )
    return nn.Sequential(*stages).to(memory_format=torch.channels_last)


def step(model: nn.Module, images: Tensor, targets: Tensor, weight: float = 1) -> None:
    (((model(images) - targets) ** 2).sum() * weight).backward()


def compare(rows: int, precision: torch.dtype) -> None:
    """Compare a batch of `rows`, which may leave ranks without one, with the same batch in one process."""
    torch.manual_seed(0)
    images, targets = torch.randn(rows, 3, 9, 9) * 2 + 1, torch.randn(rows, 4, 5, 5)
    mine = chunk(rows, dist.get_rank(), dist.get_world_size())
    empty = mine.start == mine.stop
    mine = slice(0, 1) if empty else mine
    whole, part = network(), network()
    synchronize(part)
    statistics = RunningStatistics(part)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        step(whole, images, targets)
        with statistics.stand_in() if empty else nullcontext():
            step(part, images[mine], targets[mine], float(not empty))
    assert part.training
    for weights, others in zip(part.parameters(), whole.parameters(), strict=True):
        assert weights.grad is not None
        assert others.grad is not None
        dist.all_reduce(weights.grad)
        near(weights.grad, others.grad, precision)
    for ours, theirs in zip(part.buffers(), whole.buffers(), strict=True):
        near(ours, theirs, precision)
    with torch.inference_mode():
        near(part.eval()(images), whole.eval()(images), precision)


def near(ours: Tensor, theirs: Tensor, precision: torch.dtype) -> None:
    """By the norm of what differs."""
    share = 0.02 if precision is torch.bfloat16 else 1e-10
    apart, whole = (torch.linalg.vector_norm(values.double()).item() for values in (ours - theirs, theirs))
    assert apart <= share * whole + 1e-12, f"{apart} of {whole}"


dist.init_process_group("gloo")
if "kernels" in sys.argv:
    cuda_batchnorm.register()
    sync_batchnorm.has_kernels = lambda x: True
compare(7, torch.bfloat16)
torch.set_default_dtype(torch.float64)
for rows in (7, 2, 1):
    compare(rows, torch.float64)
dist.destroy_process_group()
