"""Another background behind a leaf: a drawn texture, a photo, or that of another photo, its leaf painted over."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from leafdist.augmentation.chosen import on_chosen

SIDES = (2, 4, 8, 16, 32)  # of the octaves' lattices, coarsest first
NUMBERS = 6 + sum(side**2 for side in SIDES)  # two colours, and the values of the lattices
ROUGH = (0.4, 1.0)  # weight of an octave by that of the one before
CONTRAST = 2.0
NEAR = 40  # of a photo's side: so near to a leaf its rim and its stalk may be missing in the mask
LOW = 0xFFFFFFFF  # 32 bits


def redrawn(photos: Tensor, masks: Tensor, draws: Tensor, chance: float, others: Tensor | None = None) -> Tensor:
    """Put the leaves of photos (B,S,S,3) uint8 on other backgrounds, with this chance; masks (B,S,S) uint8, 255: leaf.

    Those are textures, or photos of `others` (n,S,S,3) uint8, each with the same chance. draws (B,4): whether, which of
    all textures (two numbers) or photos (the first), how rough. Where a photo is leaf throughout it stays.
    """
    chosen = draws[:, 0] < chance
    return on_chosen(photos.clone(), chosen, partial(on_background, others), masks, draws[:, 1:])


def on_background(others: Tensor | None, photos: Tensor, masks: Tensor, draws: Tensor) -> Tensor:
    """Put leaves on a texture each, or on a photo of `others`; draws (B,3)."""
    if others is None:
        return in_front(photos, masks, textures(draws, photos.shape[1]))
    return in_front(photos, masks, others[(draws[:, 0] * len(others)).long()].float())


def in_front(photos: Tensor, masks: Tensor, backgrounds: Tensor) -> Tensor:
    """Mix photos (B,S,S,3) uint8 with backgrounds (B,S,S,3) float32 by masks (B,S,S)."""
    leaf = masks.unsqueeze(3).float().div_(255)
    return torch.lerp(backgrounds, photos.float(), leaf).round_().to(torch.uint8)


def without_leaves(photos: Tensor, masks: Tensor) -> Tensor:
    """Photos (B,S,S,3) uint8 as float32, the leaf of masks (B,S,S) and what is near it painted over from around it.

    Averages of what is known, over ever larger squares (push-pull: Gortler et al. 1996, doi 10.1145/237170.237200).
    """
    reach = max(1, photos.shape[1] // NEAR)
    hole = F.max_pool2d((masks > 0).float().unsqueeze(1), 2 * reach + 1, 1, reach)
    known = [torch.cat((photos.permute(0, 3, 1, 2).float() * (1 - hole), 1 - hole), 1)]
    while max(known[-1].shape[2:]) > 1:
        known.append(F.avg_pool2d(known[-1], 2, ceil_mode=True, count_include_pad=False))
    top = known.pop()
    found = top[:, :3] / top[:, 3:].clamp(min=1e-6)
    for level in reversed(known):
        coarser = F.interpolate(found, level.shape[2:], mode="bilinear", align_corners=False)
        found = level[:, :3] + (1 - level[:, 3:]) * coarser
    return found.permute(0, 2, 3, 1)


def textures(draws: Tensor, side: int) -> Tensor:
    """Draw textures (B,side,side,3), float32 from 0 to 255; draws (B,3): which (two numbers), how rough.

    Smooth noise of several octaves between two colours.
    """
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
    numbers = torch.arange(count, device=draws.device)
    return (_mixed(_mixed(numbers ^ first) ^ second) >> 8).float() * 2.0**-24


def _mixed(values: Tensor) -> Tensor:
    """lowbias32 of 32-bit numbers, held in int64, whose products wrap around above them."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        values = ((values ^ (values >> shift)) * factor) & LOW
    return values ^ (values >> 16)
