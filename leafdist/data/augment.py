"""Flip, crop and normalise a batch on its device, driven by the plan's draws; equal to torchvision's own transforms."""

from dataclasses import dataclass

import torch
from torch import Tensor

MEANS = {"imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))}


@dataclass(frozen=True)
class Augment:
    """Uint8 (B,H,W,3) and draws (B,4) -> float (B,3,h,w), in channels_last strides.

    As `RandomHorizontalFlip, RandomVerticalFlip, RandomCrop, ToTensor, Normalize` of torchvision do for the same draws.
    `crop=0` keeps the whole picture; without draws nothing is flipped and the crop is `CenterCrop`'s.
    """

    crop: int = 0
    hflip: float = 0.0
    vflip: float = 0.0
    normalize: str = "none"

    def __call__(self, images: Tensor, draws: Tensor | None = None) -> Tensor:
        pixels = self.window(images, draws).permute(0, 3, 1, 2).to(torch.get_default_dtype()) / 255
        if self.normalize in MEANS:
            mean, deviation = (pixels.new_tensor(values).view(1, 3, 1, 1) for values in MEANS[self.normalize])
            pixels = (pixels - mean) / deviation
        return pixels

    def window(self, images: Tensor, draws: Tensor | None) -> Tensor:
        """Flipped and cropped: uint8 (B,H,W,3) -> uint8 (B,h,w,3), one gather."""
        batch, height, width, _ = images.shape
        if draws is None:
            top, left = self._center(height), self._center(width)
            return images[:, top : top + (self.crop or height), left : left + (self.crop or width)]
        ys = self._positions(height, draws[:, 1] < self.vflip, draws[:, 2])
        xs = self._positions(width, draws[:, 0] < self.hflip, draws[:, 3])
        rows = torch.arange(batch, device=images.device).view(-1, 1, 1)
        return images[rows, ys.unsqueeze(2), xs.unsqueeze(1)]

    def _positions(self, size: int, flipped: Tensor, draw: Tensor) -> Tensor:
        """Source coordinates (B, crop) of each target coordinate; the crop is taken from the flipped picture."""
        crop = self.crop or size
        start = (draw * (size - crop + 1)).long().unsqueeze(1)
        positions = start + torch.arange(crop, device=draw.device)
        return torch.where(flipped.unsqueeze(1), size - 1 - positions, positions)

    def _center(self, size: int) -> int:
        return round((size - self.crop) / 2.0) if self.crop else 0

    def for_evaluation(self) -> "Augment":
        return Augment(crop=self.crop, normalize=self.normalize)
