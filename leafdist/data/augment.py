"""Augments and normalises a batch on its device, driven by the plan's draws; equal to torchvision's own transforms."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from leafdist.augmentation.backgrounds import redrawn
from leafdist.augmentation.pipeline import Draws, Pipeline, moments
from leafdist.config.networks import MEANS
from leafdist.config.schema import AugmentConfig, DataConfig
from leafdist.data.plan import DRAWS, Purpose, streams

PIXEL = np.dtype("V3")  # three bytes that stay together
OFF = AugmentConfig()


@dataclass(frozen=True)
class Augment:
    """Uint8 (B,H,W,3) and draws (B,4 and more) -> float (B,3,h,w), in channels_last strides where `more` is off.

    As `RandomHorizontalFlip, RandomVerticalFlip, RandomCrop, ToTensor, Normalize` of torchvision do for the same draws.
    `crop=0` keeps the whole picture; without draws nothing is flipped and the crop is `CenterCrop`'s. What `more` adds
    has its draws behind the first four, in the order of `plan.streams`; `masks` (B,H,W) of leaves: photos may get other
    backgrounds, before all else: drawn ones, or some of `backgrounds` (n,H,W,3) uint8.
    """

    crop: int = 0
    hflip: float = 0.0
    vflip: float = 0.0
    normalize: str = "none"
    more: AugmentConfig = field(default_factory=AugmentConfig)
    backgrounds: Tensor | None = field(default=None, compare=False)

    @classmethod
    def from_config(
        cls, data: DataConfig, augment: AugmentConfig = OFF, backgrounds: Tensor | None = None
    ) -> "Augment":
        """Read the settings of a resolved configuration; for evaluation those of the data are enough."""
        return cls(int(data.crop), float(data.hflip), float(data.vflip), data.normalize, augment, backgrounds)

    def __call__(self, images: Tensor, draws: Tensor | None = None, masks: Tensor | None = None) -> Tensor:
        if draws is not None and masks is not None:
            drawn, chance = self._columns(draws)[Purpose.BACKGROUND], self.more.background
            images = redrawn(images, masks, drawn, chance, self.backgrounds)
        if draws is not None and self.more.draws_anew:
            return self._more(images, draws)
        window = self.window(images, draws)
        batch, height, width, _ = window.shape
        rows = window.reshape(batch, height, 3 * width).to(torch.get_default_dtype()).div_(255)
        if self.normalize in MEANS:  # over whole rows of pixels, which is several times as fast as over three values
            mean, deviation = moments(self.normalize, width, rows.dtype, rows.device)
            rows = rows.sub_(mean).div_(deviation)
        return rows.view(batch, height, width, 3).permute(0, 3, 1, 2)

    def _more(self, images: Tensor, draws: Tensor) -> Tensor:
        """Do all that is drawn but backgrounds and mixing; see augmentation/pipeline.py."""
        columns = self._columns(draws)
        purposes = Purpose.GEOMETRY, Purpose.COLOR, Purpose.EFFECTS, Purpose.ERASE, Purpose.TRIVIAL
        parts = {purpose.name.lower(): columns.get(purpose) for purpose in purposes}
        side = self.crop or images.shape[1]
        pipeline = Pipeline(self.more, side, self.hflip, self.vflip, self.normalize)
        photos = images if pipeline.moves else self.window(images, draws)
        return pipeline(photos, Draws(columns[Purpose.AUGMENT], **parts))

    def _columns(self, draws: Tensor) -> dict[Purpose, Tensor]:
        """The draws (B,4) of each stream."""
        return dict(zip((Purpose.AUGMENT, *streams(self.more)), draws.split(DRAWS, 1), strict=True))

    def window(self, images: Tensor, draws: Tensor | None) -> Tensor:
        """Flip and crop: uint8 (B,H,W,3) -> uint8 (B,h,w,3)."""
        _, height, width, _ = images.shape
        if draws is None:
            top, left = self._center(height), self._center(width)
            return images[:, top : top + (self.crop or height), left : left + (self.crop or width)]
        if not (self.crop or self.hflip or self.vflip):
            return images
        flipped = draws[:, 1] < self.vflip, draws[:, 0] < self.hflip
        starts = self._starts(height, draws[:, 2]), self._starts(width, draws[:, 3])
        return (self._copied if images.device.type == "cpu" else self._gathered)(images, flipped, starts)

    def _copied(self, images: Tensor, flipped: tuple[Tensor, Tensor], starts: tuple[Tensor, Tensor]) -> Tensor:
        """One strided copy per photo, pixels as items: on a CPU six times as fast as a gather."""
        photos = images.numpy().view(PIXEL)[..., 0]
        height, width = (self.crop or side for side in photos.shape[1:])
        window = np.empty((len(photos), height, width), PIXEL)
        draws = zip(*(column.tolist() for column in (*flipped, *starts)), strict=True)
        for target, photo, (down, across, top, left) in zip(window, photos, draws, strict=True):
            turned = photo[:: -1 if down else 1, :: -1 if across else 1]
            target[:] = turned[top : top + height, left : left + width]
        return torch.from_numpy(window.view(np.uint8).reshape(*window.shape, 3))

    def _gathered(self, images: Tensor, flipped: tuple[Tensor, Tensor], starts: tuple[Tensor, Tensor]) -> Tensor:
        """One gather, for devices with many cores."""
        sides = images.shape[1:3]
        ys, xs = (self._positions(*axis) for axis in zip(sides, flipped, starts, strict=True))
        rows = torch.arange(len(images), device=images.device).view(-1, 1, 1)
        return images[rows, ys.unsqueeze(2), xs.unsqueeze(1)]

    def _starts(self, side: int, draw: Tensor) -> Tensor:
        return (draw * (side - (self.crop or side) + 1)).long()

    def _positions(self, side: int, flipped: Tensor, start: Tensor) -> Tensor:
        """Source coordinates (B, crop) of each target coordinate; the crop is taken from the flipped picture."""
        positions = start.unsqueeze(1) + torch.arange(self.crop or side, device=start.device)
        return torch.where(flipped.unsqueeze(1), side - 1 - positions, positions)

    def _center(self, size: int) -> int:
        return round((size - self.crop) / 2.0) if self.crop else 0

    def for_evaluation(self) -> "Augment":
        """The same crop and normalisation, without what is drawn."""
        return Augment(crop=self.crop, normalize=self.normalize)
