"""Moves, colours, blurs, normalises and erases photos, in this order; backgrounds and mixing are not in it."""

from dataclasses import dataclass, fields, replace
from functools import cache

import torch
from torch import Tensor

from leafdist.augmentation import color, effects, geometry, trivial
from leafdist.config.networks import MEANS
from leafdist.config.schema import AugmentConfig

PART = 2**19  # values of photos that a CPU works on at a time: with what is made on the way they fit in its cache


@dataclass(frozen=True)
class Draws:
    """Uniform numbers in [0, 1), (B,4) each; None: that part is off.

    spots: flip across, flip down, crop y, crop x; geometry: area, ratio, angle; color: brightness, contrast,
    saturation, hue; effects: gray, blur, how much; erase: whether, area, ratio, where; trivial: which, level, sign.
    """

    spots: Tensor
    geometry: Tensor | None = None
    color: Tensor | None = None
    effects: Tensor | None = None
    erase: Tensor | None = None
    trivial: Tensor | None = None

    def part(self, rows: slice) -> "Draws":
        """Return those of some photos."""
        every: dict[str, Tensor | None] = {item.name: getattr(self, item.name) for item in fields(self)}
        return replace(self, **{name: draws[rows] for name, draws in every.items() if draws is not None})


@dataclass(frozen=True)
class Pipeline:
    """Uint8 (B,H,H,3) and draws -> floats (B,3,side,side), in the default type."""

    settings: AugmentConfig
    side: int
    hflip: float
    vflip: float
    normalize: str

    @property
    def moves(self) -> bool:
        """Whether pixels are looked up; otherwise the photos come flipped and cropped."""
        return bool(self.settings.scale or self.settings.rotate or self.settings.trivial)

    def __call__(self, images: Tensor, draws: Draws) -> Tensor:
        maps = self.maps(draws, images.shape[1]) if self.moves else None
        if images.device.type != "cpu":
            return self._part(images, maps, draws)
        count = max(1, PART // (3 * self.side**2))
        result = torch.empty((len(images), 3, self.side, self.side), dtype=torch.get_default_dtype())
        for start in range(0, len(images), count):
            rows = slice(start, start + count)
            result[rows] = self._part(images[rows], None if maps is None else maps[rows], draws.part(rows))
        return result

    def maps(self, draws: Draws, photo: int) -> Tensor:
        """Compose flips, rotation, crop and TrivialAugment's operation to maps (B,3,3), see geometry.py."""
        settings, spots = self.settings, draws.spots
        degrees, size = torch.zeros_like(spots[:, 0]), torch.full_like(spots[:, 0], self.side)
        sizes = size, size
        if draws.geometry is not None:
            degrees = (2 * draws.geometry[:, 2] - 1) * settings.rotate
            if settings.scale:
                sizes = geometry.crop_sizes(draws.geometry, settings.scale, settings.ratio, photo)
        maps = geometry.turned(spots[:, 0] < self.hflip, spots[:, 1] < self.vflip, degrees)
        maps = maps @ geometry.windows(spots[:, 2:], sizes, photo, self.side)
        if draws.trivial is not None:
            maps = maps @ trivial.moved(trivial.Chosen.of(draws.trivial), self.side)
        return maps

    def finer(self, photo: int) -> int:
        """Look-ups per pixel and axis: as many as photo pixels fall on one of the result, in the largest crop."""
        return max(1, round(photo * self.settings.scale[1] ** 0.5 / self.side)) if self.settings.scale else 1

    def _part(self, images: Tensor, maps: Tensor | None, draws: Draws) -> Tensor:
        settings = self.settings
        if maps is None:
            values = images.permute(0, 3, 1, 2).to(torch.get_default_dtype(), memory_format=torch.contiguous_format)
            pixels = values.div_(255)
        else:
            pixels = geometry.look_up(images, maps, self.side, self.finer(images.shape[1]))
        if draws.trivial is not None:
            pixels = trivial.colored(pixels, trivial.Chosen.of(draws.trivial))
        if draws.color is not None:
            pixels = color.jitter(pixels, draws.color, settings.color)
        if draws.effects is not None and settings.gray:
            pixels = color.grayed(pixels, draws.effects[:, 0], settings.gray)
        if draws.effects is not None and settings.blur:
            pixels = effects.blurred(pixels, draws.effects[:, 1:], settings.blur)
        if self.normalize in MEANS:
            mean, deviation = (one.view(3, 1, 1) for one in moments(self.normalize, 1, pixels.dtype, pixels.device))
            pixels = pixels.sub_(mean).div_(deviation)
        return pixels if draws.erase is None else effects.erased(pixels, draws.erase, settings.erase)


@cache
def moments(normalize: str, width: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation of a row of pixels, (3 width,); kept, since the host waits for each copy to a device."""
    mean, deviation = (torch.tensor(values, dtype=dtype, device=device).repeat(width) for values in MEANS[normalize])
    return mean, deviation
