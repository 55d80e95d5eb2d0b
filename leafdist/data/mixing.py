"""Mixup (Zhang et al. 2017) and CutMix (Yun et al. 2019): drawn per batch, each photo with the next one of the batch.

The order of a batch is drawn, so the next photo is a random one; a rank reads one row more than its own for that.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Blend(NamedTuple):
    """How a batch is mixed: `share` of a photo's own label; `weight` of its own pixels outside the box, 0 inside.

    The box is rows `top` to `bottom` and columns `left` to `right`; mixup's is empty.
    """

    share: float
    weight: float
    top: float
    bottom: float
    left: float
    right: float


BLEND_COLUMNS = len(Blend._fields)  # of draws, the last ones


@dataclass(frozen=True)
class Mixing:
    """Draws how a batch of photos of `side` pixels is mixed. mixup, cutmix: alpha of the Beta distribution; 0: off."""

    mixup: float
    cutmix: float
    side: int

    def blend(self, drawn: NDArray[np.float64]) -> Blend:
        """Blend by four uniform numbers: which of the two, how much, and where the box's middle is.

        As MixUp and CutMix of torchvision.transforms.v2 do it.
        """
        from scipy.special import betaincinv  # noqa: PLC0415 - a training starts without it

        which, quantile, y, x = drawn.tolist()
        cuts = self.cutmix > 0 and (which < 0.5 or not self.mixup)  # with both on, half of the batches each
        alpha = self.cutmix if cuts else self.mixup
        own = float(betaincinv(alpha, alpha, quantile))
        if not cuts:
            return Blend(own, own, 0, 0, 0, 0)
        half = int(0.5 * math.sqrt(1 - own) * self.side)
        (top, bottom), (left, right) = (
            (max(0, middle - half), min(self.side, middle + half))
            for middle in (int(y * self.side), int(x * self.side))
        )
        area = (bottom - top) * (right - left)
        return Blend(1 - area / self.side**2, 1, top, bottom, left, right)


def mix(images: Tensor, blend: Tensor) -> Tensor:
    """Mix each photo with the next one: (n+1,3,h,w) -> (n,3,h,w), both in channels_last strides.

    `blend` (6,) is a Blend on the images' device, which the host does not look at.
    """
    photos, _, height, width = images.shape
    _, weight, top, bottom, left, right = blend.unbind()
    rows = images.permute(0, 2, 3, 1).reshape(photos, height, 3 * width)  # values of a pixel side by side: fast on CPUs
    down, across = (torch.arange(length, device=images.device) for length in (height, 3 * width))
    inside = ((down >= top) & (down < bottom)).unsqueeze(1) & (across >= 3 * left) & (across < 3 * right)
    own = torch.where(inside, 0.0, weight).to(rows.dtype)
    return torch.lerp(rows[1:], rows[:-1], own).view(-1, height, width, 3).permute(0, 3, 1, 2)
