"""Another background behind a leaf: a drawn texture, smooth noise of several octaves between two drawn colours."""

import torch
import torch.nn.functional as F
from torch import Tensor

from leafdist.augmentation.chosen import on_chosen

SIDES = (2, 4, 8, 16, 32)  # of the octaves' lattices, coarsest first
NUMBERS = 6 + sum(side**2 for side in SIDES)  # two colours, and the values of the lattices
ROUGH = (0.4, 1.0)  # weight of an octave by that of the one before
CONTRAST = 2.0
LOW = 0xFFFFFFFF  # 32 bits


def textured(photos: Tensor, masks: Tensor, draws: Tensor, chance: float) -> Tensor:
    """Put the leaves of photos (B,S,S,3) uint8 on drawn textures, with this chance; masks (B,S,S) uint8, 255: leaf.

    draws (B,4): whether, which of all textures (two numbers), how rough. Where a photo is leaf throughout it stays.
    """
    chosen = draws[:, 0] < chance
    return on_chosen(photos.clone(), chosen, on_texture, masks, draws[:, 1:])


def on_texture(photos: Tensor, masks: Tensor, draws: Tensor) -> Tensor:
    """Mix photos (B,S,S,3) uint8 with a texture each, by masks (B,S,S)."""
    leaf = masks.unsqueeze(3).float().div_(255)
    return torch.lerp(textures(draws, photos.shape[1]), photos.float(), leaf).round_().to(torch.uint8)


def textures(draws: Tensor, side: int) -> Tensor:
    """Draw textures (B,side,side,3), float32 from 0 to 255; draws (B,3): which (two numbers), how rough."""
    numbers = hashed(draws[:, :2], NUMBERS)
    colours, lattices = numbers[:, :6].reshape(-1, 2, 1, 1, 3), numbers[:, 6:].split([side**2 for side in SIDES], 1)
    rough = (ROUGH[0] + (ROUGH[1] - ROUGH[0]) * draws[:, 2]).float().view(-1, 1, 1, 1)
    height, weight, total = torch.zeros_like(rough), torch.ones_like(rough), torch.zeros_like(rough)
    for lattice, length in zip(lattices, SIDES, strict=True):
        finer = F.interpolate(height, (length, length), mode="bilinear", align_corners=False)
        height = finer + weight * (lattice.view(-1, 1, length, length) - 0.5)
        total, weight = total + weight, weight * rough
    height = F.interpolate(height / total, (side, side), mode="bilinear", align_corners=False)
    share = (0.5 + CONTRAST * height).clamp_(0, 1).permute(0, 2, 3, 1)
    return torch.lerp(255 * colours[:, 0], 255 * colours[:, 1], share)


def hashed(draws: Tensor, count: int) -> Tensor:
    """Make `count` numbers in [0, 1) of each row of draws (B,2), (B,count) float32: the same on any device.

    lowbias32 of Wellons 2018 (https://nullprogram.com/blog/2018/07/31/) over the numbers from 0 on, keyed twice.
    """
    first, second = (draws * 2**32).long().unsqueeze(2).unbind(1)
    places = torch.arange(count, device=draws.device)
    return (_mixed(_mixed(places ^ first) ^ second) >> 8).float() * 2.0**-24


def _mixed(values: Tensor) -> Tensor:
    """lowbias32 of 32-bit numbers, held in int64, whose products wrap around above them."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        values = ((values ^ (values >> shift)) * factor) & LOW
    return values ^ (values >> 16)
