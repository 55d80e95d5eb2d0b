"""BatchNorm between processes: its statistics over the whole batch, or over each process's rows and averaged after.

PyTorch's own SyncBatchNorm is for GPUs alone, and would wait for ever for a process whose one row is a stand-in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

aten = torch.ops.aten


class SyncBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d whose mean and variance, under `train()`, are those of the rows of all processes."""

    counted = True  # False: this process's rows are a stand-in, which takes part in the collectives and adds nothing

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # collectives stay outside of a graph
    def forward(self, x: Tensor) -> Tensor:
        """(B,C,h,w) -> (B,C,h,w). All processes call it equally often."""
        if not self.training:
            return super().forward(x)
        assert self.momentum is not None
        assert self.num_batches_tracked is not None
        y, mean, variance, count = _Normalize.apply(x, self.weight, self.bias, self)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(variance * (count / (count - 1).clamp(min=1)), self.momentum)  # type: ignore[union-attr]
        return y  # type: ignore[no-any-return]


class _Normalize(torch.autograd.Function):
    """Ioffe and Szegedy 2015, with sums over all processes; in float32 or wider, whatever the input's precision."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, layer: SyncBatchNorm2d) -> tuple[Tensor, ...]:
        scratch = torch.empty_like(weight), torch.empty_like(weight)
        mean, variance = aten.batch_norm_update_stats(x, *scratch, 1.0)
        count = mean.new_full((1,), x.numel() // x.shape[1] if layer.counted else 0)  # the host waits for no copy
        means, variances, counts = _gather(torch.cat([mean, variance, count])).split([len(mean), len(mean), 1], dim=1)
        count = counts.sum()
        share = counts / count
        mean = (means * share).sum(0)
        variance = ((variances + (means - mean) ** 2) * share).sum(0)
        y = F.batch_norm(x, mean, variance, weight, bias, training=False, eps=layer.eps)
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps, ctx.counted = layer.eps, layer.counted
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        """Sums over all rows where the statistics came from all; weight and bias have this process's part."""
        x, weight, mean, variance, count = ctx.saved_tensors
        wanted = [False, True, True]
        _, for_weight, for_bias = aten.native_batch_norm_backward(
            grad, x, weight, mean, variance, None, None, False, ctx.eps, wanted
        )
        sums = _gather(torch.cat([for_weight, for_bias])).sum(0) / count
        scale = weight * torch.rsqrt(variance + ctx.eps)
        slope = scale * torch.rsqrt(variance + ctx.eps) * sums[: len(scale)]
        level = scale * sums[len(scale) :] - slope * mean
        if not ctx.counted:
            slope, level = torch.zeros_like(slope), torch.zeros_like(level)
        scale, slope, level = (value[:, None, None] for value in (scale, slope, level))
        return (grad * scale - x * slope - level).to(x.dtype), for_weight, for_bias, None


def _gather(values: Tensor) -> Tensor:
    """(n,) of each process -> (world, n): added up in order of rank, so that all have the same sum, bit for bit."""
    every = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(every, values)
    return torch.stack(every)


def synchronize(model: nn.Module) -> None:
    """Give every BatchNorm of `model` this class; weights, statistics and their names stay."""
    for module in model.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = SyncBatchNorm2d


def average(model: nn.Module, weight: float) -> None:
    """Running statistics of layers in training become the mean over the processes, weighted by their rows."""
    layers = [layer for layer in _training(model) if not isinstance(layer, SyncBatchNorm2d)]  # these are the same
    buffers = _statistics(layers)
    if not buffers or not dist.is_initialized():
        return
    flat = torch.cat(buffers) * weight
    dist.all_reduce(flat)
    torch._foreach_copy_(buffers, list(flat.split([len(buffer) for buffer in buffers])))


@contextmanager
def stand_in(model: nn.Module) -> Iterator[None]:
    """Rows inside must not move the statistics; alone they have none of their own."""
    layers = _training(model)
    synced = [layer for layer in layers if isinstance(layer, SyncBatchNorm2d)]
    for layer in layers:
        layer.train(layer in synced)
    for layer in synced:
        layer.counted = False
    yield
    for layer in synced:
        layer.counted = True
    for layer in layers:
        layer.train()


def snapshot(model: nn.Module) -> list[Tensor]:
    """Copies of the running statistics of layers in training, for `restore`."""
    return [buffer.clone() for buffer in _statistics(_training(model))]


def restore(model: nn.Module, before: list[Tensor], bad: Tensor) -> None:
    """Statistics of a step that was refused (`bad` is 1) are as `before`; decided on the device."""
    for buffer, old in zip(_statistics(_training(model)), before, strict=True):
        buffer.copy_(torch.where(bad.bool(), old, buffer))


def _training(model: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]


def _statistics(layers: list[nn.modules.batchnorm._BatchNorm]) -> list[Tensor]:
    return [value for layer in layers for value in (layer.running_mean, layer.running_var) if value is not None]
