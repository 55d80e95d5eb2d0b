"""BatchNorm whose statistics are those of the rows of all processes.

PyTorch's own SyncBatchNorm runs on GPUs only, asks the device in every layer which ranks have rows, and would wait
forever for a process whose one row is a stand-in.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

aten = torch.ops.aten


class SyncBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d whose mean and variance, under `train()`, are those of the rows of all processes."""

    counted = True  # False: the rows are a stand-in, which takes part in the collectives and adds nothing

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # collectives stay out of a compiled graph
    def forward(self, x: Tensor) -> Tensor:
        """Normalize (B,C,h,w). All processes must call it equally often."""
        if not self.training:
            return super().forward(x)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        normalize = _NormalizeOnCuda if has_kernels(x) else _Normalize
        return normalize.apply(x, self.weight, self.bias, self)  # type: ignore[no-any-return]


def has_kernels(x: Tensor) -> bool:
    """Whether PyTorch's kernels for synchronised BatchNorm run on the device of `x`: GPUs alone have them."""
    return x.is_cuda


class SyncBatchNormAct2d(SyncBatchNorm2d):
    """A SyncBatchNorm2d that drops and activates too, as timm's BatchNormAct2d does."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize and activate (B,C,h,w)."""
        return self.act(self.drop(super().forward(x)))  # type: ignore[no-any-return,operator]


class _NormalizeOnCuda(torch.autograd.Function):
    """`_Normalize` through PyTorch's CUDA kernels, which its own SyncBatchNorm calls in this order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, layer: SyncBatchNorm2d) -> Tensor:
        """Normalize (B,C,h,w) by the rows of all processes, and move the running statistics."""
        mean, invstd = aten.batch_norm_stats(x, layer.eps)
        means, invstds, counts = _gather_stats(mean, invstd, x, layer)
        # rank 0 always has rows (data.plan.chunk), so that the running count, which is divided by, is never 0
        mean, invstd = aten.batch_norm_gather_stats_with_counts(
            x, means, invstds, layer.running_mean, layer.running_var, layer.momentum, layer.eps, counts
        )
        ctx.save_for_backward(x, weight, mean, invstd, counts.int())
        ctx.counted = layer.counted
        return aten.batch_norm_elemt(x, weight, bias, mean, invstd, layer.eps)  # type: ignore[no-any-return]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Sum over the rows of all processes for the input; weight and bias get this process's part."""
        x, weight, mean, invstd, counts = ctx.saved_tensors
        for_mean, for_invstd, for_weight, for_bias = aten.batch_norm_backward_reduce(
            grad, x, mean, invstd, weight, True, True, True
        )
        sums = torch.cat([for_mean, for_invstd])
        dist.all_reduce(sums)
        for_x = torch.zeros_like(x)
        if ctx.counted:
            for_x = aten.batch_norm_backward_elemt(grad, x, mean, invstd, weight, *sums.split(len(for_mean)), counts)
        return for_x, for_weight, for_bias, None


class _Normalize(torch.autograd.Function):
    """BatchNorm (Ioffe and Szegedy 2015) with sums over all processes, in float32 or wider, on any device."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, layer: SyncBatchNorm2d) -> Tensor:
        """Normalize (B,C,h,w) by the rows of all processes, and move the running statistics."""
        assert layer.momentum is not None
        scratch = torch.empty_like(weight), torch.empty_like(weight)
        mean, variance = aten.batch_norm_update_stats(x, *scratch, 1.0)
        means, variances, counts = _gather_stats(mean, variance, x, layer)
        count = counts.sum(0, keepdim=True)
        share = (counts / count)[:, None]
        mean = (means * share).sum(0)
        variance = ((variances + (means - mean) ** 2) * share).sum(0)
        layer.running_mean.lerp_(mean, layer.momentum)  # type: ignore[union-attr]
        layer.running_var.lerp_(variance * (count / (count - 1).clamp(min=1)), layer.momentum)  # type: ignore[union-attr]
        ctx.save_for_backward(x, weight, mean, variance, count)
        ctx.eps, ctx.counted = layer.eps, layer.counted
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=layer.eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Sum over the rows of all processes for the input; weight and bias get this process's part."""
        x, weight, mean, variance, count = ctx.saved_tensors
        invstd = torch.rsqrt(variance + ctx.eps)
        wanted = [False, True, True]
        _, for_weight, for_bias = aten.native_batch_norm_backward(
            grad, x, weight, mean, variance, mean, invstd, False, ctx.eps, wanted
        )
        sums = _gather(torch.cat([for_weight, for_bias])).sum(0) / count
        scale = weight * invstd
        slope = scale * invstd * sums[: len(scale)]
        level = scale * sums[len(scale) :] - slope * mean
        if not ctx.counted:
            slope, level = torch.zeros_like(slope), torch.zeros_like(level)
        scale, slope, level = (value[:, None, None] for value in (scale, slope, level))
        return (grad * scale - x * slope - level).to(x.dtype), for_weight, for_bias, None


def _gather_stats(mean: Tensor, spread: Tensor, x: Tensor, layer: SyncBatchNorm2d) -> tuple[Tensor, Tensor, Tensor]:
    """Means (world,C), spreads (world,C) and rows per channel (world,) of all processes, by rank."""
    # new_full: no copy that the host would wait for
    count = mean.new_full((1,), x.numel() // x.shape[1] if layer.counted else 0)
    means, spreads, counts = _gather(torch.cat([mean, spread, count])).split([len(mean), len(mean), 1], dim=1)
    return means, spreads, counts.reshape(-1)


def _gather(values: Tensor) -> Tensor:
    """Return (world, n) from the (n,) of each process, by rank: so every process sums in the same order."""
    gathered = values.new_empty((dist.get_world_size(), len(values)))
    dist.all_gather(list(gathered.unbind()), values)
    return gathered


def synchronize(model: nn.Module) -> None:
    """Turn every BatchNorm of `model` that can be into a SyncBatchNorm2d; weights, statistics and their names stay."""
    for module in model.modules():
        if can_synchronize(module) and not isinstance(module, SyncBatchNorm2d):
            module.__class__ = SyncBatchNormAct2d if _acts(module) else SyncBatchNorm2d


def can_synchronize(module: nn.Module) -> bool:
    """Tell whether a layer is a BatchNorm2d, timm's with an activation included, that computes nothing else."""
    return isinstance(module, nn.BatchNorm2d) and (_acts(module) or type(module).forward is nn.BatchNorm2d.forward)


def _acts(module: nn.Module) -> bool:
    return type(module).__name__ == "BatchNormAct2d"  # no import of timm for the networks that are none of it
