"""Gaussian blur and random erasing, as torchvision's GaussianBlur and RandomErasing."""

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from leafdist.augmentation.chosen import on_chosen

SIGMA = (0.1, 2.0)  # pixels
AREA, RATIO = (0.02, 0.33), (0.3, 3.3)  # of an erased rectangle: share of the photo, height by width


def blurred(images: Tensor, draws: Tensor, chance: float) -> Tensor:
    """Blur photos (B,3,h,w) with this chance; draws (B,2): whether, how much."""
    low, high = SIGMA
    return on_chosen(images, draws[:, 0] < chance, blur, low + (high - low) * draws[:, 1])


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each photo with its deviation (B,), over a tenth of the side in pixels; borders are mirrored."""
    batch, channels, height, width = images.shape
    reach = min(height, width) // 20
    offsets = torch.arange(-reach, reach + 1, dtype=sigma.dtype, device=sigma.device)
    weights = torch.softmax((offsets / sigma.unsqueeze(1)).square().div(-2), 1).to(images.dtype)
    column = weights.unsqueeze(1).expand(-1, channels, -1).reshape(batch * channels, 1, -1, 1)
    padded = F.pad(images, (reach,) * 4, mode="reflect").view(1, -1, height + 2 * reach, width + 2 * reach)
    groups = batch * channels
    return F.conv2d(F.conv2d(padded, column, groups=groups), column.mT, groups=groups).view(images.shape)


def erased(images: Tensor, draws: Tensor, chance: float) -> Tensor:
    """Set a rectangle of photos (B,3,h,w) to 0 with this chance; draws (B,4): whether, area, ratio, where."""
    return on_chosen(images, draws[:, 0] < chance, erase, rectangles(draws, images.shape[-1]))


def rectangles(draws: Tensor, side: int) -> Tensor:
    """Return top, left, height and width (B,4) of what is erased of photos of this side.

    One that is too long is cut to side - 1; torchvision draws up to ten times instead.
    """
    area = side**2 * (AREA[0] + (AREA[1] - AREA[0]) * draws[:, 1])
    ratio = torch.exp(log(RATIO[0]) + log(RATIO[1] / RATIO[0]) * draws[:, 2])
    height, width = ((area * shape).sqrt().round().clamp(max=side - 1) for shape in (ratio, 1 / ratio))
    columns = side - width + 1
    spot = (draws[:, 3] * (side - height + 1) * columns).floor()
    top = (spot / columns).floor()
    return torch.stack((top, spot - top * columns, height, width), 1)


def erase(images: Tensor, boxes: Tensor) -> Tensor:
    """Set the rectangle of each photo, boxes (B,4), to 0."""
    top, left, height, width = boxes.unsqueeze(2).unbind(1)
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[2:])
    down, across = (rows >= top) & (rows < top + height), (columns >= left) & (columns < left + width)
    return images.masked_fill((down.unsqueeze(2) & across.unsqueeze(1)).unsqueeze(1), 0)
