"""Measures augmentation: the largest difference to torchvision's operations, launches, photos per second on one core.

python -m benchmarks.augmentation [SECONDS]     # SECONDS per rate, default 3
"""

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import TrivialAugmentWide, functional

from leafdist.augmentation import color, effects, geometry, trivial
from leafdist.config.schema import AugmentConfig
from leafdist.data.augment import Augment
from leafdist.data.plan import EpochPlan, streams

FACTORS = (0.0, 0.3, 1.0, 1.9)
LEVELS = (0, 1, 13, 30)  # torchvision translates by 15.999999 at 15, and even ones solarize from a level of 255 on
MOVES = range(1, 6)  # operations of TrivialAugment
Pair = tuple[Callable[..., Tensor], Callable[..., Tensor], Sequence[float]]
COLORS: dict[str, Pair] = {  # ours for a batch and its values, torchvision's for a photo and its value, values
    "brightness": (color.brightness, functional.adjust_brightness, FACTORS),
    "contrast": (color.contrast, functional.adjust_contrast, FACTORS),
    "saturation": (color.saturation, functional.adjust_saturation, FACTORS),
    "hue": (color.hue, functional.adjust_hue, (-0.25, -0.1, 0.0, 0.25)),
    "gray": (lambda images, _: color.luma(images), lambda image, _: functional.rgb_to_grayscale(image), FACTORS),
    "sharpness": (trivial.sharpness, functional.adjust_sharpness, FACTORS),
    "solarize": (trivial.solarize, functional.solarize, (0.0, 0.3, 0.7, 1.0)),
    "autocontrast": (
        lambda images, _: trivial.autocontrast(images),
        lambda one, _: functional.autocontrast(one),
        FACTORS,
    ),
    "blur": (effects.blur, lambda image, sigma: functional.gaussian_blur(image, [3, 3], [sigma]), (0.1, 0.5, 1.0, 2.0)),
}
EVERYTHING = AugmentConfig(scale=[0.35, 1.0], rotate=15, color=0.4, gray=0.1, blur=0.2, erase=0.25, trivial=True)
SETTINGS = {
    "flips and crop": AugmentConfig(),
    "scale": AugmentConfig(scale=[0.35, 1.0]),
    "rotate": AugmentConfig(rotate=15),
    "color": AugmentConfig(color=0.4),
    "gray 0.1": AugmentConfig(gray=0.1),
    "blur 0.2": AugmentConfig(blur=0.2),
    "erase 0.25": AugmentConfig(erase=0.25),
    "trivial": AugmentConfig(trivial=True),
    "all together": EVERYTHING,
}


def pictures(count: int = 4, side: int = 37) -> Tensor:
    """Levels (count,3,side,side) uint8: a flat one, a dark one, a gray one, then noise."""
    levels = torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0))
    levels[0], levels[1], levels[2] = 77, levels[1] // 5, levels[2, :1]
    return levels.to(torch.uint8)


def color_difference(name: str, dtype: torch.dtype) -> float:
    """The largest difference of one of COLORS to torchvision's, on floats in [0, 1]."""
    ours, theirs, values = COLORS[name]
    images = pictures().to(dtype) / 255
    found = ours(images, torch.tensor(values, dtype=torch.float64))
    pairs = zip(images, values, found, strict=True)
    return max(float((one - theirs(image, value)).abs().max()) for image, value, one in pairs)


def trivial_difference(number: int, side: int = 40) -> float:
    """The largest difference of a TrivialAugment operation to torchvision's, over LEVELS and both signs.

    Pixels within one of the photo's edge are left out, since torchvision fades it.
    """
    name, (strengths, signed) = list(TrivialAugmentWide._AUGMENTATION_SPACE.items())[number]
    levels = pictures(4, side)[3:]
    rows, largest = levels.permute(0, 2, 3, 1).contiguous(), 0.0
    for level in LEVELS:
        for sign in (-1.0, 1.0) if signed else (1.0,):
            draws = torch.tensor([[(number + 0.5) / 14, (level + 0.5) / 31, (sign + 1.5) / 3]], dtype=torch.float64)
            chosen = trivial.Chosen.of(draws)
            maps = trivial.moved(chosen, side)
            seen = geometry.look_up(rows, maps, side, 1) if number in MOVES else levels / 255
            ours = trivial.colored(seen, chosen)[0]
            every = strengths(31, side, side)
            one = levels[0] if name in {"Posterize", "Equalize"} else levels[0] / 255
            how = TrivialAugmentWide(interpolation=InterpolationMode.BILINEAR)
            strength = 0.0 if every is None else sign * float(every[level])
            theirs = how._apply_image_or_video_transform(one, name, strength, how.interpolation, {Tensor: None})
            theirs = theirs / 255 if theirs.dtype == torch.uint8 else theirs
            largest = max(largest, ((ours - theirs).abs() * inside(side, maps, side)).max().item())
    return largest


def inside(side: int, maps: Tensor, photo: int) -> Tensor:
    """Whether pixels of a result lie more than one inside the photo (side, side)."""
    frame = torch.zeros(1, photo, photo, 3, dtype=torch.uint8)
    frame[:, 1:-1, 1:-1] = 255
    return geometry.look_up(frame, maps, side, 1)[0, 0] == 1


class Launches(TorchDispatchMode):
    """Counts the operations that a GPU would launch a kernel for: all but views and allocations."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.count += not (func.is_view or name.startswith(("empty", "new_empty", "_unsafe_view", "lift", "detach")))
        return func(*args, **(kwargs or {}))


def batch(settings: AugmentConfig, side: int, rows: int) -> tuple[Augment, Tensor, Tensor]:
    """Return ImageNet's way of a crop of `side` with `settings` on, photos an eighth larger, and draws of a plan."""
    photo = side * 8 // 7
    images = torch.randint(0, 256, (rows, photo, photo, 3), dtype=torch.uint8)
    draws = torch.from_numpy(EpochPlan(rows, rows, 0, 0, streams(settings)).share(0).draws)
    return Augment(side, 0.5, 0.5, "imagenet", settings), images, draws


def launches(settings: AugmentConfig, side: int) -> int:
    """Count the launches for a batch on a device that is no CPU; nothing is computed."""
    augment, images, draws = (batch(settings, side, 8)[0], *(one.to("meta") for one in batch(settings, side, 8)[1:]))
    augment(images, draws)  # what is made once
    with Launches() as counted:
        augment(images, draws)
    return int(counted.count)


def rate(settings: AugmentConfig, side: int, seconds: float) -> float:
    """Photos per second through `Augment`, 256 at a time, channels-last at the end: the median of at least five."""
    augment, images, draws = batch(settings, side, 256)
    spent, began = list[float](), time.perf_counter()
    while len(spent) < 6 or time.perf_counter() - began < seconds:
        start = time.perf_counter()
        augment(images, draws).contiguous(memory_format=torch.channels_last)
        spent.append(time.perf_counter() - start)
    return 256 / torch.tensor(spent[1:]).median().item()


def main(seconds: float) -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    print("| operation | largest difference, float32 | float64 |\n| --- | --- | --- |")
    for name in COLORS:
        single, double = (color_difference(name, dtype) for dtype in (torch.float32, torch.float64))
        print(f"| {name} | {single:.1e} | {double:.1e} |")
    for number, name in enumerate(trivial.OPERATIONS):
        print(f"| TrivialAugment: {name} | {trivial_difference(number):.1e} | |", flush=True)
    print("\n| what is on | launches | photos/s at 128 | at 224 |\n| --- | --- | --- | --- |")
    for name, settings in SETTINGS.items():
        counted = launches(settings, 128)
        small, large = (rate(settings, side, seconds) for side in (128, 224))
        print(f"| {name} | {counted} | {small:,.0f} | {large:,.0f} |", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0)
