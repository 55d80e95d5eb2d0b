"""An operation for some photos of a batch: on CPUs it runs for these alone, on GPUs for all, so that no host waits."""

from collections.abc import Callable

import torch
from torch import Tensor

Operation = Callable[..., Tensor]  # images and values -> images; it must not write to what it is given


def on_chosen(images: Tensor, chosen: Tensor, operation: Operation, *values: Tensor) -> Tensor:
    """Return images (B,·,·,·) with `operation(images, *values)` where `chosen` (B,) is true; may write over `images`.

    values: (B, ...), one row per photo.
    """
    return (_on_few if images.device.type == "cpu" else _on_all)(images, chosen, operation, *values)


def _on_few(images: Tensor, chosen: Tensor, operation: Operation, *values: Tensor) -> Tensor:
    rows = chosen.nonzero().flatten()
    if len(rows):
        some = (value.index_select(0, rows) for value in (images, *values))
        images.index_copy_(0, rows, operation(*some))
    return images


def _on_all(images: Tensor, chosen: Tensor, operation: Operation, *values: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, 1, 1, 1), operation(images, *values), images)


def each(values: Tensor, images: Tensor) -> Tensor:
    """Shape one value per photo (B,) so that it spreads over the photo's pixels, in the type of `images`."""
    return values.to(images.dtype).view(-1, 1, 1, 1)
