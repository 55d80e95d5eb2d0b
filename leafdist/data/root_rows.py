"""Which rows of every global batch are of which root of photos, and which photos of the other roots an epoch shows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leafdist.config.extra_roots import rows_of_roots
from leafdist.config.schema import Config
from leafdist.data.index import Index
from leafdist.data.plan import Purpose, stream_key
from leafdist.data.shuffle import Shuffle

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Pattern:
    """Whose each row of a global batch of B rows is: those of each of R roots lie as evenly as they can.

    owner, nth (B,): the root of each row, 0 for the main one, and how many rows before it are of that root; counts
    (R,): rows of each root; at (B,) float64: where each row lies in a batch from 0 to 1, ascending: the n-th of a
    root's m rows at (2n + 1) / 2m.
    """

    owner: Numbers
    nth: Numbers
    counts: Numbers
    at: NDArray[np.float64]

    @classmethod
    def of(cls, counts: Sequence[int]) -> "Pattern":
        """Lay out so many rows of each root; where two would lie alike the earlier root comes first."""
        nth = np.concatenate([np.arange(count) for count in counts])
        owner = np.repeat(np.arange(len(counts)), counts)
        rows = np.array(counts)
        at = (2 * nth + 1) / (2 * rows[owner])
        order = np.argsort(at, kind="stable")
        return cls(owner[order], nth[order], rows, at[order])

    def in_epoch(self, photos: int) -> Numbers:
        """Return the rows of each root in an epoch, (R,), which is one pass over the `photos` of the main one.

        If only r of the main root's m rows are left for the last batch, that batch is the beginning of the pattern up
        to r / m: of each other root it has its rows of a full batch x r / m, rounded, halves up.
        """
        full = -(-photos // self.counts[0]) - 1
        left = (photos - full * self.counts[0]) / self.counts[0]
        last = self.owner[: np.searchsorted(self.at, left, "right")]
        rows: Numbers = full * self.counts + np.bincount(last, minlength=len(self.counts))
        return rows


@dataclass(frozen=True)
class RootRows:
    """The rows of one epoch, of several roots.

    photos: the numbers of the photos of each other root, (n,), which are gone through again and again, epoch after
    epoch, each time in another order: so each is shown equally often, up to one. rows (R,): those of an epoch by root.
    """

    pattern: Pattern
    photos: tuple[Numbers, ...]
    rows: Numbers
    seed: int
    epoch: int

    @classmethod
    def of(cls, config: Config, index: Index, epoch: int) -> "RootRows":
        """Read `data.extra` and `train.batch_size`; `index` is that of all roots. Raises ValueError."""
        pattern, start, photos = Pattern.of(rows_of_roots(config.data, config.train.batch_size)), 0, []
        for part in index.parts.values():
            photos.append(start + np.flatnonzero(part.labels >= 0))  # without classes that the run does not know
            start += len(part)
        main, *others = photos
        return cls(pattern, tuple(others), pattern.in_epoch(len(main)), config.seed, epoch)

    def __call__(self, positions: Numbers, main: Callable[[Numbers], Numbers]) -> Numbers:
        """Return the photos at `positions` of the epoch, (n,) -> (n,); `main` does so for the rows of the main root."""
        batch, row = np.divmod(positions, len(self.pattern.owner))
        owner = self.pattern.owner[row]
        nth = batch * self.pattern.counts[owner] + self.pattern.nth[row]
        found = np.empty_like(positions)
        found[owner == 0] = main(nth[owner == 0])
        for number, photos in enumerate(self.photos, 1):
            turn, there = np.divmod(self.epoch * self.rows[number] + nth, len(photos))
            for one in np.unique(turn[owner == number]).tolist():
                shuffle = Shuffle(len(photos), stream_key(self.seed, one, Purpose.EXTRA, number))
                mine = (owner == number) & (turn == one)
                found[mine] = photos[shuffle(there[mine])]
        return found
