"""Depthwise convolutions trained in fp32 on CPUs: in bf16 their gradients take up to two hundred times as long.

oneDNN has no fast kernel in bf16 for the gradient of the input of a strided one, nor for that of the weights above 3x3;
docs/performance.md has measurements.
"""

from functools import cache

import torch
from torch import Tensor, nn


class InFp32:
    """Mixed into the class of a convolution; in evaluation, which has no gradients, it stays as it is."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B,C,H,W) in fp32 while training on a CPU; the result has the type of `x`."""
        if not self.training or x.device.type != "cpu":  # type: ignore[attr-defined]
            return super().forward(x)  # type: ignore[misc,no-any-return]
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)  # type: ignore[misc,no-any-return]


@cache
def _in_fp32(kind: type[nn.Conv2d]) -> type[nn.Conv2d]:
    return type(kind.__name__, (InFp32, kind), {})


def use_fp32_depthwise(model: nn.Module) -> None:
    """Turn every depthwise convolution that is slow in bf16 into one in fp32; weights and their names stay."""
    for module in model.modules():
        depthwise = isinstance(module, nn.Conv2d) and module.groups == module.in_channels > 1
        if depthwise and (max(module.stride) > 1 or max(module.kernel_size) > 3):
            module.__class__ = _in_fp32(type(module))
