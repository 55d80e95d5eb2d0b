"""Dropout whose mask depends on (seed, step, layer, row of the global batch), not on the device or the batch's cut.

Masks are bytes of Philox4x64-10, a counter-based generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1,
2, 3"), compared with 256 p: no state needs saving; 0.25 and 0.5 are exact, other rates are rounded to 1/256. Entry e of
a row is byte e % 32 of counter (row * blocks + e // 32 + 1, layer, step, 0) under key (seed, 3). A layer's n-th further
call in a pass draws as layer + 4096 n; windows or patches of a photo are rows, in order.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

PURPOSE = 3  # data.plan.Purpose.DROPOUT: it keeps this stream apart from those of the epoch plan
BLOCK = 32  # bytes of one counter
CALLS = 4096  # what a further call of a layer adds to its number: more than a network has layers


class PlannedDropout(nn.Module):
    """Zeroes entries of (B, ...) with probability `p` in training, and scales the rest by 1 / (1 - p)."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.threshold = min(255, round(256 * p))
        self.layer, self.seed, self.calls = 0, 0, 0  # calls: in this forward pass; each draws by itself
        self.first, self.rows = 0, 0  # the first row's number in the global batch, and how many rows the pass holds
        self.clock: Tensor | None = None  # int64 (1,): the step, on the device, so that a captured step can go on

    def forward(self, x: Tensor) -> Tensor:
        """Drop entries of (B, ...). `seek_step` and `seek_rows` must have said which rows they are."""
        if not self.training or self.threshold == 0:
            return x
        assert self.clock is not None, "seek_step() before the forward pass"
        layer, self.calls = self.layer + CALLS * self.calls, self.calls + 1
        first = self.first * (len(x) // (self.rows or len(x)))  # windows or patches of a photo are rows too, in order
        factors: Tensor = mask(self.drawn(x.detach()), self.clock, self.seed, layer, first, self.threshold)
        return x * factors

    def drawn(self, x: Tensor) -> Tensor:
        """Return the entries of (B, ...) that have numbers of their own."""
        return x


class PlannedDropPath(PlannedDropout):
    """Zeroes whole rows of (B, ...) with probability `p` in training, and scales the rest by 1 / (1 - p)."""

    def drawn(self, x: Tensor) -> Tensor:
        """Return one entry of each row, (B, 1, ...)."""
        return x[(slice(None), *[slice(1)] * (x.ndim - 1))]


@torch.library.custom_op("leafdist::dropout_mask", mutates_args=(), device_types="cpu")
def mask(x: Tensor, clock: Tensor, seed: int, layer: int, first: int, threshold: int) -> Tensor:  # noqa: PLR0917
    """Return the factors of (B, ...) rows from `first` on, 0 or 1 / (1 - p), contiguous, in the type of `x`."""
    drawn = random_bytes((seed, int(clock), layer), first, len(x), x[0].numel())
    factors = torch.from_numpy(drawn).view(x.shape) >= threshold
    return factors.to(x.dtype).mul_(256 / (256 - threshold))


@mask.register_fake
def _(x: Tensor, *_: object) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@mask.register_kernel("cuda")
def _(x: Tensor, clock: Tensor, seed: int, layer: int, first: int, threshold: int) -> Tensor:  # noqa: PLR0917
    from leafdist.models.dropout_kernel import fill  # noqa: PLC0415 - Triton comes with CUDA alone

    factors = torch.empty_like(x, memory_format=torch.contiguous_format)
    fill(factors, clock, (seed, PURPOSE), (layer, first), threshold)
    return factors


def random_bytes(stream: tuple[int, int, int], first: int, rows: int, length: int) -> NDArray[np.uint8]:
    """Return uint8 (rows, length) of `stream` (seed, step, layer) for the rows of the global batch from `first` on."""
    (seed, step, layer), blocks = stream, -(-length // BLOCK)
    generator = np.random.Philox(key=[seed, PURPOSE], counter=[first * blocks, layer, step, 0])  # the next is drawn
    words = generator.random_raw(rows * blocks * BLOCK // 8)
    return words.view(np.uint8).reshape(rows, blocks * BLOCK)[:, :length]


def number_layers(model: nn.Module) -> None:
    """Give each dropout layer of `model` a stream of its own."""
    for number, layer in enumerate(dropout_layers(model)):
        layer.layer = number


def seek_step(layers: list[PlannedDropout], seed: int, step: int, device: torch.device) -> None:
    """Say which global batch the next forward passes belong to: that of `step`."""
    if not layers:
        return
    clock = layers[0].clock
    if clock is None or clock.device != device:
        clock = torch.zeros(1, dtype=torch.int64, device=device)
    clock.fill_(step)
    for layer in layers:
        layer.clock, layer.seed = clock, seed


def seek_rows(layers: list[PlannedDropout], first: int, rows: int) -> None:
    """Say which rows of the global batch the next forward pass holds: as many as `rows`, from `first` on."""
    for layer in layers:
        layer.first, layer.rows, layer.calls = first, rows, 0


def dropout_layers(model: nn.Module) -> list[PlannedDropout]:
    """Return the dropout layers of `model`, in the order of their streams."""
    return [module for module in model.modules() if isinstance(module, PlannedDropout)]
