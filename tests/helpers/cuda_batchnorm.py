"""PyTorch's five kernels of synchronised BatchNorm, which GPUs alone have, for CPUs, after Normalization.cu."""

import torch
from torch import Tensor

library = torch.library.Library("aten", "IMPL")


def register() -> None:
    """Let CPUs have them too, in this process."""
    for kernel in (stats, gather_stats_with_counts, elemt, backward_reduce, backward_elemt):
        library.impl(f"batch_norm_{kernel.__name__}", kernel, "CPU")


def stats(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(wide(x), (0, 2, 3), unbiased=False)
    return mean, torch.rsqrt(variance + eps)


def gather_stats_with_counts(  # noqa: PLR0917 - as PyTorch has it
    _: Tensor,
    means: Tensor,
    invstds: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
    counts: Tensor,
) -> tuple[Tensor, Tensor]:
    """Chan's update, rank by rank, as the kernel has it: it divides by the running count."""
    mean, squares, seen = torch.zeros_like(means[0]), torch.zeros_like(means[0]), torch.zeros(())
    for other, invstd, count in zip(means, invstds, counts, strict=True):
        factor = 1 / (seen + count)
        squares = squares + (invstd**-2 - eps) * count + (mean - other) ** 2 * seen * count * factor
        mean, seen = seen * factor * mean + count * factor * other, seen + count
    running_mean.lerp_(mean, momentum)
    running_var.lerp_(squares / (seen - 1), momentum)
    return mean, torch.rsqrt(squares / seen + eps)


def elemt(x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, invstd: Tensor, _: float) -> Tensor:
    return ((x - maps(mean)) * maps(invstd * weight) + maps(bias)).to(x.dtype)


def backward_reduce(
    grad: Tensor, x: Tensor, mean: Tensor, invstd: Tensor, *_: Tensor | bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    sums = wide(grad).sum((0, 2, 3))
    moments = (wide(grad) * (x - maps(mean))).sum((0, 2, 3))
    return sums, moments, moments * invstd, sums


def backward_elemt(  # noqa: PLR0917 - as PyTorch has it
    grad: Tensor, x: Tensor, mean: Tensor, invstd: Tensor, weight: Tensor, sums: Tensor, moments: Tensor, counts: Tensor
) -> Tensor:
    assert counts.dtype == torch.int32
    level, slope = sums / counts.sum(), moments / counts.sum()
    centred = (x - maps(mean)) * maps(invstd**2 * slope)
    return ((grad - maps(level) - centred) * maps(invstd * weight)).to(x.dtype)


def wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def maps(values: Tensor) -> Tensor:
    return values[:, None, None]
