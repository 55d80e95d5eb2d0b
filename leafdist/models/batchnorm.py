"""BatchNorm between processes: statistics of the whole batch, or of each process's rows, averaged afterwards.

PyTorch's own SyncBatchNorm runs on GPUs only, and would wait forever for a process whose one row is a stand-in.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

aten = torch.ops.aten
BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


class SyncBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d whose mean and variance, under `train()`, are those of the rows of all processes."""

    counted = True  # False: the rows are a stand-in, which takes part in the collectives and adds nothing

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # collectives stay out of a compiled graph
    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B,C,h,w). All processes must call it equally often."""
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
    """BatchNorm (Ioffe and Szegedy 2015) with sums over all processes, in float32 or wider."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, layer: SyncBatchNorm2d) -> tuple[Tensor, ...]:
        scratch = torch.empty_like(weight), torch.empty_like(weight)
        mean, variance = aten.batch_norm_update_stats(x, *scratch, 1.0)
        # new_full: no copy that the host would wait for
        count = mean.new_full((1,), x.numel() // x.shape[1] if layer.counted else 0)
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
        """Sum over the rows of all processes for the input; weight and bias get this process's part."""
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
    """Return (world, n) from the (n,) of each process, by rank: so every process sums in the same order."""
    gathered = [torch.empty_like(values) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, values)
    return torch.stack(gathered)


def synchronize(model: nn.Module) -> None:
    """Turn every BatchNorm of `model` into a SyncBatchNorm2d; weights, statistics and their names stay."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            known = nn.BatchNorm2d.forward, SyncBatchNorm2d.forward
            assert type(module).forward in known, f"{type(module)} computes more than BatchNorm does"
            module.__class__ = SyncBatchNorm2d


def trains_batchnorm(model: nn.Module) -> bool:
    """Tell whether a BatchNorm layer would use the statistics of the batch under `train()`."""
    model.train()
    return bool(_training(model))


def average(model: nn.Module, weight: float) -> None:
    """Average the running statistics of layers in training over the processes, weighted by `weight`."""
    layers = [layer for layer in _training(model) if not isinstance(layer, SyncBatchNorm2d)]  # the others agree already
    buffers = _statistics(layers)
    if not buffers or not dist.is_initialized():
        return
    flat = torch.cat(buffers) * weight
    dist.all_reduce(flat)
    torch._foreach_copy_(buffers, list(flat.split([len(buffer) for buffer in buffers])))


@contextmanager
def stand_in(model: nn.Module) -> Iterator[None]:
    """Keep what runs inside, stand-in rows of a process without photos, out of the statistics."""
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
    """Copy the running statistics of layers in training, for `restore`."""
    return [buffer.clone() for buffer in _statistics(_training(model))]


def restore(model: nn.Module, before: list[Tensor], bad: Tensor) -> None:
    """Put the statistics back to `before` if `bad` is 1, without asking the device which it is."""
    for buffer, old in zip(_statistics(_training(model)), before, strict=True):
        buffer.copy_(torch.where(bad.bool(), old, buffer))


def _training(model: nn.Module) -> list[BatchNorm]:
    return [module for module in model.modules() if isinstance(module, BatchNorm) and module.training]


def _statistics(layers: Sequence[BatchNorm]) -> list[Tensor]:
    return [value for layer in layers for value in (layer.running_mean, layer.running_var) if value is not None]
