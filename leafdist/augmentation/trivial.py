"""TrivialAugment wide (Müller and Hutter 2021, arXiv 2103.10158): one operation per photo, of any strength.

Operations, their order and their strengths are torchvision's. Those that move pixels are maps of geometry.py; the
others run for their photos. Posterize and equalize need 256 levels: they round to them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from leafdist.augmentation.chosen import each, on_chosen
from leafdist.augmentation.color import brightness, contrast, saturation
from leafdist.augmentation.geometry import affine

OPERATIONS = [
    "identity",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "brightness",
    "color",
    "contrast",
    "sharpness",
    "posterize",
    "solarize",
    "autocontrast",
    "equalize",
]
LEVELS = 31
SLOPE, PIXELS, DEGREES, FACTOR = 0.99, 32, 135.0, 0.99  # at the highest level


@dataclass(frozen=True)
class Chosen:
    """What is done to each photo: the operation's number in OPERATIONS (B,), its level from 0 to 30, its sign."""

    operation: Tensor
    level: Tensor
    sign: Tensor

    @classmethod
    def of(cls, draws: Tensor) -> "Chosen":
        """Read draws (B,3 or more): which operation, how strong, its sign."""
        operation, level = (draws[:, 0] * len(OPERATIONS)).floor(), (draws[:, 1] * LEVELS).floor()
        return cls(operation, level, torch.where(draws[:, 2] < 0.5, -1.0, 1.0).to(draws.dtype))

    def is_(self, name: str) -> Tensor:
        """Whether it is this operation (B,)."""
        return self.operation == OPERATIONS.index(name)

    def strength(self, most: float) -> Tensor:
        """The signed strength (B,) of an operation that has `most` at the highest level."""
        return self.sign * self.level * (most / (LEVELS - 1))


def moved(chosen: Chosen, side: int) -> Tensor:
    """Return the maps (B,3,3) of the operations that move pixels, of photos of `side`; the others' do nothing."""

    def strength(name: str, most: float) -> Tensor:
        return chosen.strength(most) * chosen.is_(name)

    slope_x, slope_y = strength("shear_x", SLOPE), strength("shear_y", SLOPE)
    right, down = strength("translate_x", PIXELS).trunc(), strength("translate_y", PIXELS).trunc()
    angle = strength("rotate", DEGREES).deg2rad()
    cosine, sine, half = torch.cos(angle), torch.sin(angle), side / 2
    return affine((cosine, slope_x - sine, slope_x * half - right), (sine + slope_y, cosine, slope_y * half - down))


def colored(images: Tensor, chosen: Chosen) -> Tensor:
    """Run the operations that change colours: floats in [0, 1] (B,3,h,w)."""
    factor, steps = 1 + chosen.strength(FACTOR), LEVELS - 1
    operations: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
        "brightness": (brightness, (factor,)),
        "color": (saturation, (factor,)),
        "contrast": (contrast, (factor,)),
        "sharpness": (sharpness, (factor,)),
        "posterize": (posterize, (8 - (chosen.level * (6 / steps)).round(),)),
        "solarize": (solarize, (1 - chosen.level / steps,)),
        "autocontrast": (autocontrast, ()),
        "equalize": (equalize, ()),
    }
    for name, (operation, values) in operations.items():
        images = on_chosen(images, chosen.is_(name), operation, *values)
    return images


def sharpness(images: Tensor, factor: Tensor) -> Tensor:
    """Move each pixel, those of the border excepted, away from the mean around it by the photo's factor (B,)."""
    inner = images[..., 1:-1, 1:-1]
    three = images[..., :-2, :] + images[..., 1:-1, :] + images[..., 2:, :]
    nine = three[..., :-2] + three[..., 1:-1] + three[..., 2:]
    soft = nine.add_(inner * 4).div_(13)  # the pixel itself counts five times
    result = images.clone()
    result[..., 1:-1, 1:-1].add_(soft.sub_(inner).mul_(each(1 - factor, images)))
    return result.clamp_(0, 1)


def posterize(images: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits (B,) of each value."""
    width = each(1 << (8 - bits).long(), images)  # exact; torch.exp2 would be compiled when it first runs on a GPU
    return (images * 255).round_().div_(width).floor_().mul_(width).div_(255)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert values from the photo's threshold (B,) on."""
    return torch.where(images >= each(threshold, images), 1 - images, images)


def autocontrast(images: Tensor) -> Tensor:
    """Stretch each channel of each photo to [0, 1]; one of a single value stays."""
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    flat = low == high
    return ((images - low.masked_fill(flat, 0)) / (high - low).masked_fill_(flat, 1)).clamp_(0, 1)


def equalize(images: Tensor) -> Tensor:
    """Spread the levels of each channel of each photo evenly over 0 to 255, by PIL's rule."""
    levels = (images * 255).round_().long().flatten(2)
    ones = torch.ones(1, dtype=torch.int64, device=images.device).expand_as(levels)
    counts = torch.zeros((*levels.shape[:2], 256), dtype=torch.int64, device=images.device)
    counts.scatter_add_(2, levels, ones)
    brightest = counts.gather(2, levels.amax(2, keepdim=True))
    step = (levels.shape[2] - brightest) // 255
    below = counts.cumsum(2) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp_(0, 255)
    found = torch.where(step > 0, table.gather(2, levels), levels)
    return (found.to(images.dtype) / 255).view(images.shape)
