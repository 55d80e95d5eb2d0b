"""Reads photos as rows of uint8 from the folder itself or from a pack: one interface, byte for byte the same."""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from leafdist.data.decode import LIMIT, Fit, decode
from leafdist.data.index import Index

Rows = tuple[NDArray[np.uint8], NDArray[np.int64]]


class Source(Protocol):
    """Photos of one split as squares of uint8."""

    index: Index

    def read(self, indices: NDArray[np.int64]) -> Rows:
        """Images uint8 (B,H,W,3) and labels int64 (B,). Raises UnreadablePhotoError."""
        ...


class FolderSource:
    """Decodes photos when they are read."""

    def __init__(
        self, index: Index, side: int, fit: Fit = "stretch", max_pixels: int = LIMIT, filter_: str = "bilinear"
    ) -> None:
        self.index, self.side, self.fit, self.max_pixels, self.filter = index, side, fit, max_pixels, filter_

    def read(self, indices: NDArray[np.int64]) -> Rows:
        """Decode these photos; see Source."""
        images = np.empty((len(indices), self.side, self.side, 3), np.uint8)
        for row, index in enumerate(indices):
            path = self.index.folder / self.index.names[index]
            images[row] = decode(path, self.side, self.fit, self.max_pixels, self.filter)
        return images, self.index.labels[indices].astype(np.int64)


class PackSource:
    """Gathers rows of a memory map, whose pages all ranks of a node share."""

    def __init__(self, index: Index, side: int, pack: Path) -> None:
        self.index = index
        self.rows = np.memmap(pack, np.uint8, mode="r", shape=(len(index), side, side, 3))

    def read(self, indices: NDArray[np.int64]) -> Rows:
        """Gather these photos; see Source."""
        return self.rows[indices], self.index.labels[indices].astype(np.int64)
