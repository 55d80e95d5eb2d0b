"""Convolutions over maps of a few pixels as matrix products: the same sums, much faster on CPUs.

At crop 52 the last stage of ResNet-50 has maps of 2x2. There every pixel sees every other one, so a 3x3 convolution is
one matrix of 4 x channels, with 16 of the 36 products that padding would make; docs/performance.md has measurements.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALL = 4  # largest side, in pixels, at which a 1x1 convolution is faster as a matrix product

NEAR = (0, 1)
# entry of the kernel (3 x row + column) by which input pixel (q, p) goes into output pixel (y, x)
TAPS = [3 * (q - y + 1) + p - x + 1 for y in NEAR for x in NEAR for q in NEAR for p in NEAR]


class SmallMapConv2d(nn.Conv2d):
    """nn.Conv2d with a faster way to the same result for small maps on a CPU in channels_last."""

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B,I,h,w) to (B,O,h',w'), in the memory format of its input."""
        side = max(x.shape[-2:])
        if x.device.type != "cpu" or side > SMALL or not x.is_contiguous(memory_format=torch.channels_last):
            return super().forward(x)
        pixels = x.permute(0, 2, 3, 1)
        if self.kernel_size == (1, 1):
            step = self.stride[0]
            used = pixels[:, ::step, ::step]
            # flat rows: for strided ones in bf16 torch.matmul would copy the weights once per row of pixels
            rows = F.linear(used.flatten(0, 2), self.weight.flatten(1))
            return rows.view(*used.shape[:3], -1).permute(0, 3, 1, 2)
        if x.shape[-2:] == (2, 2) and self.kernel_size == (3, 3) and self.stride == (1, 1):
            rows = F.linear(pixels.flatten(1), _as_matrix(self.weight))
            return rows.view(len(x), 2, 2, -1).permute(0, 3, 1, 2)
        return super().forward(x)


def _as_matrix(weight: Tensor) -> Tensor:
    """Return the matrix (4 O, 4 I), pixels before channels, of a 3x3 kernel (O,I,3,3) on a padded 2x2 map."""
    outputs, inputs = weight.shape[:2]
    # one selection: each of sixteen slices would have a gradient as large as the kernel
    taps = weight.permute(0, 2, 3, 1).reshape(outputs, 9, inputs).index_select(1, torch.tensor(TAPS))
    return taps.view(outputs, 4, 4 * inputs).transpose(0, 1).reshape(4 * outputs, 4 * inputs)


def use_small_maps(model: nn.Module) -> None:
    """Turn every plain convolution of `model` into a SmallMapConv2d; weights and their names stay."""
    for module in model.modules():
        if type(module) is nn.Conv2d and module.bias is None and module.groups == 1:
            module.__class__ = SmallMapConv2d
