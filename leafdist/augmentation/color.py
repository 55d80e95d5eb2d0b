"""Brightness, contrast, saturation, hue and gray, with a value per photo: torchvision's, on floats in [0, 1]."""

from functools import cache

import torch
from torch import Tensor

from leafdist.augmentation.chosen import each, on_chosen


def jitter(images: Tensor, draws: Tensor, most: float) -> Tensor:
    """Change brightness, contrast, saturation by up to `most`, hue by a quarter of it: (B,3,h,w), draws (B,4)."""
    change = (2 * draws - 1) * most
    images = brightness(images, 1 + change[:, 0])
    images = contrast(images, 1 + change[:, 1])
    images = saturation(images, 1 + change[:, 2])
    return hue(images, change[:, 3] / 4)


def grayed(images: Tensor, draw: Tensor, chance: float) -> Tensor:
    """Take the colour from photos with this chance: (B,3,h,w), draw (B,)."""
    return on_chosen(images, draw < chance, lambda some: luma(some).expand_as(some))


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Multiply each photo by its factor (B,)."""
    return (images * each(factor, images)).clamp_(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Move each photo away from its mean gray, or towards it, by its factor (B,)."""
    return _blend(images, luma(images.mean((2, 3), keepdim=True)), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Move each pixel away from its gray, or towards it, by the photo's factor (B,)."""
    return _blend(images, luma(images), factor)


def luma(images: Tensor) -> Tensor:
    """Return the gray of each pixel (B,1,h,w), by the weights of torchvision and PIL."""
    red, green, blue = images.split(1, 1)
    gray: Tensor = (red * 0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114)
    return gray


def hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of each photo by its share of a circle (B,).

    HSV to RGB in closed form: each channel is value - chroma * clamp(2 - |6 d|, 0, 1), where d in [-1/2, 1/2] is how
    far the hue is from the one at which the channel is darkest (Wikipedia, "HSL and HSV", HSV to RGB alternative).
    """
    red, green, blue = images.split(1, 1)
    most, least = torch.maximum(torch.maximum(red, green), blue), torch.minimum(torch.minimum(red, green), blue)
    chroma = most - least
    step = chroma * 2
    # the brightest channel says in which third of the circle the hue lies; of equals the first
    sector = (red - green).add_(step).add_(step)
    for channel, other in ((green, (blue - red).add_(step)), (red, green - blue)):  # by factors of 0 and 1: on CPUs
        sector.add_(other.sub_(sector).mul_(torch.eq(most, channel, out=torch.empty_like(most))))  # torch.where is slow
    sector.div_(step.mul_(3).clamp_min_(torch.finfo(images.dtype).tiny))  # where chroma is 0 the hue does not matter
    distance = sector + (each(turns, images) - _darkest(images.dtype, images.device))
    distance.sub_(distance.round()).abs_().mul_(-6).add_(2).clamp_(0, 1).mul_(chroma)
    return torch.sub(most, distance, out=distance)


@cache
def _darkest(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The hue at which each channel is darkest (1,3,1,1): red at cyan, green at magenta, blue at yellow."""
    return torch.tensor([1 / 2, 5 / 6, 1 / 6], dtype=dtype, device=device).view(1, 3, 1, 1)


def _blend(images: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """Return share * images + (1 - share) * other, clamped to [0, 1]."""
    return (images * each(share, images)).add_(other * each(1 - share, images)).clamp_(0, 1)
