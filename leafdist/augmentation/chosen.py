"""An operation for some photos of a batch: on CPUs it runs for these alone, on GPUs for all, so that no host waits."""

from collections.abc import Callable

import torch
from torch import Tensor


def on_chosen(
    images: Tensor, chosen: Tensor, operation: Callable[..., Tensor], *values: Tensor, whole: bool = False
) -> Tensor:
    """Return images (B,3,h,w) with `operation(images, *values)` where `chosen` (B,) is true; may write over `images`.

    values: (B, ...), one row per photo. `operation` must not write to what it is given. whole: as on GPUs.
    """
    if whole or images.device.type != "cpu":
        return torch.where(chosen.view(-1, 1, 1, 1), operation(images, *values), images)
    rows = chosen.nonzero().flatten()
    if len(rows):
        some = (value.index_select(0, rows) for value in (images, *values))
        images.index_copy_(0, rows, operation(*some))
    return images


def each(values: Tensor, images: Tensor) -> Tensor:
    """Shape one value per photo (B,) so that it spreads over the photo's pixels, in the type of `images`."""
    return values.to(images.dtype).view(-1, 1, 1, 1)
