"""The epoch plan: order and augmentation draws as a function of (seed, epoch), before anybody reads a photo.

The order is a keyed bijection (shuffle.py). Draws come from Philox, a counter-based generator (Salmon et al. 2011,
"Parallel random numbers: as easy as 1, 2, 3"): one counter a sample gives one row of four draws. So any batch is drawn
in O(batch), without the ones before it and with nothing held, however many samples there are.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leafdist.config.schema import AugmentConfig
from leafdist.data.mixing import Mixing
from leafdist.data.shuffle import Shuffle

if TYPE_CHECKING:
    from leafdist.data.root_rows import RootRows

DRAWS = 4  # columns of a row of draws: horizontal flip, vertical flip, crop y, crop x
EVALUATION_BATCH = {"cpu": 64, "cuda": 256}  # rows, fixed: no number depends on who evaluates what; 64 fit in caches


class Purpose(IntEnum):
    """What a stream of random numbers is for; the values are part of the protocol and never reused."""

    ORDER = 0
    AUGMENT = 1
    EVALUATE = 2
    DROPOUT = 3
    GEOMETRY = 4
    COLOR = 5
    EFFECTS = 6
    ERASE = 7
    TRIVIAL = 8
    MIX = 9
    SAMPLE = 10
    EXTRA = 11
    BACKGROUND = 12
    SWAP = 13


def streams(augment: AugmentConfig) -> tuple[Purpose, ...]:
    """Streams of draws that `augment` needs beside AUGMENT, in the order of their columns."""
    wanted = {
        Purpose.GEOMETRY: augment.scale or augment.rotate,  # area, ratio, angle, -; where the crop lies: as ever
        Purpose.COLOR: augment.color,  # brightness, contrast, saturation, hue
        Purpose.EFFECTS: augment.gray or augment.blur,  # gray, blur, how strong a blur, -
        Purpose.ERASE: augment.erase,  # whether, area, ratio, where (of one number)
        Purpose.TRIVIAL: augment.trivial,  # which operation, how strong, its sign, -
        Purpose.BACKGROUND: augment.background,  # whether, which texture (two numbers) or photo, how rough
    }
    return tuple(purpose for purpose, applies in wanted.items() if applies)


def stream_key(seed: int, *stream: int) -> NDArray[np.uint64]:
    """A 128-bit Philox key for a stream; NumPy promises that SeedSequence never changes."""
    return np.random.SeedSequence((seed, *stream)).generate_state(2, np.uint64).astype(np.uint64)


def uniform_rows(key: NDArray[np.uint64], first: int, count: int) -> NDArray[np.float64]:
    """Rows `first` to `first + count` of a stream: (count, 4) float64 in [0, 1)."""
    raw = np.random.Philox(key=key, counter=first).random_raw(count * DRAWS)
    return (raw >> np.uint64(11)).reshape(count, DRAWS).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class Share:
    """One rank's part of one global batch: b rows, where `mixed` with one more of indices and draws, of the next photo.

    indices (b,) int64: photos to read; draws (b, 4 + 4 for each of the plan's streams) float64, where mixed with the
    columns of a Blend, the same in each row; first: number of the first row in the global batch; total: rows of the
    global batch; stand_in: the one row has weight zero and only takes part in collectives; mixed: each row is mixed
    with the next one.
    """

    indices: NDArray[np.int64]
    draws: NDArray[np.float64]
    first: int
    total: int
    stand_in: bool
    mixed: bool = False

    @classmethod
    def undrawn(cls, indices: NDArray[np.int64]) -> "Share":
        """Samples to read for evaluation: a batch of its own, without draws."""
        return cls(indices, np.empty((0, DRAWS)), 0, len(indices), stand_in=False)

    def __len__(self) -> int:
        return len(self.indices) - self.mixed

    @property
    def own(self) -> NDArray[np.int64]:
        """Samples of the rank's own rows, (b,)."""
        return self.indices[: len(self)]


def chunk(total: int, part: int, parts: int) -> slice:
    """The part-th of `parts` contiguous, nearly equal chunks of `total` rows; the remainder goes to the lowest."""
    base, extra = divmod(total, parts)
    start = part * base + min(part, extra)
    return slice(start, start + base + (part < extra))


def micro_batches(rows: int, accumulate: int, max_rows: int | None = None) -> list[slice]:
    """Cut a rank's rows into at least `accumulate` contiguous parts of at most `max_rows` rows; none is empty."""
    parts = max(accumulate, -(-rows // max_rows) if max_rows else 1)
    return [part for i in range(parts) if (part := chunk(rows, i, parts)).stop > part.start]


class EpochPlan:
    """Batches of one epoch, the same whatever the number of processes.

    num_samples: those of the main root; roots: the rows that other roots have in its batches.

    >>> plan = EpochPlan(num_samples=1000, global_batch=256, seed=0, epoch=3)
    >>> len(plan), plan.share(3, rank=0, world=2).total
    (4, 232)
    """

    def __init__(
        self,
        num_samples: int,
        global_batch: int,
        seed: int,
        epoch: int,
        streams: Sequence[Purpose] = (),
        *,
        sample: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None,
        mixing: Mixing | None = None,
        roots: "RootRows | None" = None,
    ) -> None:
        assert num_samples > 0
        assert global_batch > 0
        self.rows, self.global_batch = int(roots.rows.sum()) if roots else num_samples, global_batch
        self.roots = roots
        self.sample, self.mixing, self._mix_key = sample, mixing, stream_key(seed, epoch, Purpose.MIX)
        self.order = Shuffle(num_samples, stream_key(seed, epoch, Purpose.ORDER))
        self._draws = [stream_key(seed, epoch, purpose) for purpose in (Purpose.AUGMENT, *streams)]

    def __len__(self) -> int:
        """Batches per epoch; the last, partial one counts."""
        return math.ceil(self.rows / self.global_batch)

    def share(self, batch: int, rank: int = 0, world: int = 1) -> Share:
        """What `rank` of `world` processes trains on in batch number `batch`."""
        start = batch * self.global_batch
        total = min(self.global_batch, self.rows - start)
        rows = chunk(total, rank, world)
        stand_in = rows.start == rows.stop
        first, stop = (0, 1) if stand_in else (rows.start, rows.stop)
        spans = [(start + first, stop - first)]
        if self.mixing:  # the last photo of a batch is mixed with its first one
            spans.append((start + stop % total, 1))
        positions = np.concatenate([np.arange(at, at + count) for at, count in spans])
        indices = self.roots(positions, self._main) if self.roots else self._main(positions)
        columns = [np.concatenate([uniform_rows(key, *span) for span in spans]) for key in self._draws]
        if self.mixing:
            blend = self.mixing.blend(uniform_rows(self._mix_key, batch, 1)[0])
            columns.append(np.tile(blend, (len(indices), 1)))
        return Share(indices, np.concatenate(columns, 1), first, total, stand_in, mixed=self.mixing is not None)

    def _main(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Photos at positions of the epoch among those of the main root, (n,) -> (n,)."""
        samples = self.order(positions)
        return self.sample(samples) if self.sample else samples

    def shares(self, rank: int, world: int, start: int = 0) -> Iterator[Share]:
        """The rank's shares of batches `start` and later: resuming skips without reading."""
        return (self.share(batch, rank, world) for batch in range(start, len(self)))


def smallest_part(num_samples: int, global_batch: int, world: int, accumulate: int, max_rows: int | None) -> int:
    """Fewest rows that any rank runs at once in an epoch, stand-ins apart: what trainable BatchNorm sees."""
    last = num_samples % global_batch or global_batch
    smallest = min(num_samples, global_batch)
    for total in {smallest, last}:
        for rank in (0, world - 1):
            part = chunk(total, rank, world)
            for micro in micro_batches(part.stop - part.start, accumulate, max_rows):
                smallest = min(smallest, micro.stop - micro.start)
    return smallest
