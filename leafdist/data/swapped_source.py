"""Photos with their leaves on the backgrounds of other photos, read as any others are."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from leafdist.augmentation.backgrounds import in_front, without_leaves
from leafdist.data.plan import Purpose, stream_key, uniform_rows
from leafdist.data.source import Rows, RowsOfMasks, Source

Numbers = NDArray[np.int64]


class SwappedSource:
    """The photos `rows` (n,) of a source; with `behind` (n,) on the backgrounds of these photos of it."""

    def __init__(self, source: Source, masks: RowsOfMasks, rows: Numbers, behind: Numbers | None = None) -> None:
        index = source.index
        rest = np.setdiff1d(np.arange(len(index)), rows).tolist()
        self.index = replace(index, names=index.names.without(rest), labels=index.labels[rows], set_aside=())
        self.source, self.leaves, self.rows, self.behind = source, masks, rows, behind
        self.masks: RowsOfMasks | None = None

    def read(self, indices: Numbers) -> Rows:
        """Read these photos and what is behind them; see Source."""
        rows = self.rows[indices]
        photos, labels = self.source.read(rows)
        if self.behind is None:
            return photos, labels
        others = self.behind[indices]
        backgrounds = self.source.read(others)[0]
        own, front, back, theirs = map(
            torch.from_numpy, (photos, self.leaves.read(rows), backgrounds, self.leaves.read(others))
        )
        return in_front(own, front, without_leaves(back, theirs)).numpy(), labels


def pairs(labels: Numbers, seed: int) -> tuple[Numbers, Numbers]:
    """Draw for each photo, of labels (n,), another one of its class, or itself if there is none, and one of another.

    Each with the same chance. There must be two classes.
    """
    photos = len(labels)
    order, counts = np.argsort(labels, kind="stable"), np.bincount(labels)
    start, count = (np.cumsum(counts) - counts)[labels], counts[labels]
    nth = np.empty(photos, np.int64)
    nth[order] = np.arange(photos)
    draws = uniform_rows(stream_key(seed, 0, Purpose.SWAP), 0, photos)
    further = 1 + (draws[:, 0] * (count - 1)).astype(np.int64)
    other = (draws[:, 1] * (photos - count)).astype(np.int64)
    return order[start + (nth - start + further) % count], order[np.where(other < start, other, other + count)]
