"""Depthwise convolutions trained in fp32 on CPUs: in bf16 their gradients take up to two hundred times as long.

oneDNN has no fast kernel in bf16 for the gradient of the input of a strided one, nor for that of the weights above 3x3;
docs/performance.md has measurements.
"""

import torch
from torch import Tensor, nn


class InFp32:
    """Mixed into the class of a convolution; in evaluation, which has no gradients, it stays as it is."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B,C,H,W) in fp32 while training on a CPU; the result has the type of `x`."""
        if not (self.training and torch.is_autocast_enabled("cpu")):  # type: ignore[attr-defined]
            return super().forward(x)  # type: ignore[misc,no-any-return]
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)  # type: ignore[misc,no-any-return]


def use_fp32_depthwise(model: nn.Module) -> None:
    """Turn every depthwise convolution that is slow in bf16 into one in fp32; weights and their names stay."""
    for module in model.modules():
        if not isinstance(module, nn.Conv2d) or module.groups == 1 or module.groups < module.in_channels:
            continue
        if max(module.stride) > 1 or max(module.kernel_size) > 3:
            module.__class__ = type(type(module).__name__, (InFp32, type(module)), {})
