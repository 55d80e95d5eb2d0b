"""Convolutions over maps of a few pixels as matrix products: the same sums, on CPUs far faster than convolutions are.

At crop 52 the last stage of ResNet-50 has maps of 2x2. There every pixel sees every other, so a 3x3 convolution is one
linear map of 4 x channels, with 16 of the 36 products that padding would make; docs/performance.md has the measurement.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SMALL = 4  # pixels of a side up to which a matrix product is the faster form of a 1x1 convolution

NEAR = (0, 1)
# of the kernel, 3 x row + column: what pixel (q, p) gives to pixel (y, x)
TAPS = [3 * (q - y + 1) + p - x + 1 for y in NEAR for x in NEAR for q in NEAR for p in NEAR]


class SmallMapConv2d(nn.Conv2d):
    """nn.Conv2d, with another way to the same result for small maps on a CPU in channels_last."""

    def forward(self, x: Tensor) -> Tensor:
        """(B,I,h,w) -> (B,O,h',w'), in channels_last as its input."""
        side = max(x.shape[-2:])
        if x.device.type != "cpu" or side > SMALL or not x.is_contiguous(memory_format=torch.channels_last):
            return super().forward(x)
        pixels = x.permute(0, 2, 3, 1)
        if self.kernel_size == (1, 1):
            step = self.stride[0]
            seen = pixels[:, ::step, ::step]
            # flat rows: for strided ones in bf16 torch.matmul would copy the weights once a row of pixels
            rows = F.linear(seen.flatten(0, 2), self.weight.flatten(1))
            return rows.view(*seen.shape[:3], -1).permute(0, 3, 1, 2)
        if x.shape[-2:] == (2, 2) and self.kernel_size == (3, 3) and self.stride == (1, 1):
            rows = F.linear(pixels.flatten(1), _as_matrix(self.weight))
            return rows.view(len(x), 2, 2, -1).permute(0, 3, 1, 2)
        return super().forward(x)


def _as_matrix(weight: Tensor) -> Tensor:
    """A 3x3 kernel (O,I,3,3) of a padded 2x2 map as its matrix (4 O, 4 I), rows and columns by pixel first."""
    outputs, inputs = weight.shape[:2]
    # one selection: sixteen slices would each add a gradient of the whole kernel
    taps = weight.permute(0, 2, 3, 1).reshape(outputs, 9, inputs).index_select(1, torch.tensor(TAPS))
    return taps.view(outputs, 4, 4 * inputs).transpose(0, 1).reshape(4 * outputs, 4 * inputs)


def use_small_maps(model: nn.Module) -> None:
    """Give every plain convolution of `model` this class; weights and their names stay."""
    for module in model.modules():
        if type(module) is nn.Conv2d and module.bias is None and module.groups == 1:
            module.__class__ = SmallMapConv2d
