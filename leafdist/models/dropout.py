"""Dropout whose mask depends on (seed, step, layer, row of the global batch), not on how the batch was cut.

Masks are drawn in blocks of rows, each block with its own seed, as bytes compared with 256 p: a process draws the
blocks that it holds rows of. So no state needs saving; 0.25 and 0.5 are exact, other rates are rounded to 1/256.
"""

import numpy as np
import torch
from torch import Tensor, nn

BLOCK = 32  # rows of the global batch that share a seed


class BlockDropout(nn.Module):
    """Zeroes entries of (B, ...) with probability `p` in training, and scales the rest by 1 / (1 - p)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.threshold = min(255, round(256 * p))
        self.layer = 0
        self.position: tuple[int, int, int] | None = None  # seed, step, number of the first row

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # seeds are computed on the host
    def forward(self, x: Tensor) -> Tensor:
        """Drop entries of (B, ...). `seek` must have said which rows they are."""
        if not self.training or self.threshold == 0:
            return x
        scale = 256 / (256 - self.threshold)
        return x * (self.bytes_for(x) >= self.threshold).to(x.dtype).mul_(scale)

    def bytes_for(self, x: Tensor) -> Tensor:
        """Draw random uint8 in the shape of `x`, for the rows of the global batch that `x` holds."""
        assert self.position is not None, "seek() before the forward pass"
        seed, step, first = self.position
        row = x[0].numel()
        words = -(-BLOCK * row // 8)
        start, stop = first // BLOCK, -(-(first + len(x)) // BLOCK)
        noise = torch.empty((stop - start, words), dtype=torch.int64, device=x.device)
        generator = torch.Generator(x.device)
        for block in range(start, stop):
            # 3 is data.plan.Purpose.DROPOUT: it keeps this stream apart from those of the epoch plan
            own = np.random.SeedSequence((seed, step, 3, self.layer, block)).generate_state(1, np.uint32)
            generator.manual_seed(int(own[0]))
            noise[block - start].random_(-(2**63), None, generator=generator)
        rows = noise.view(torch.uint8)[:, : BLOCK * row].reshape(-1, row)
        skipped = first - start * BLOCK
        return rows[skipped : skipped + len(x)].view(x.shape)


def number_layers(model: nn.Module) -> None:
    """Give each dropout layer of `model` a stream of its own."""
    for number, layer in enumerate(dropout_layers(model)):
        layer.layer = number


def seek(layers: list[BlockDropout], seed: int, step: int, first: int) -> None:
    """Say which rows the next forward pass holds: those from `first` on, of the global batch of `step`."""
    for layer in layers:
        layer.position = (seed, step, first)


def dropout_layers(model: nn.Module) -> list[BlockDropout]:
    """Return the dropout layers of `model`, in the order of their streams."""
    return [module for module in model.modules() if isinstance(module, BlockDropout)]
