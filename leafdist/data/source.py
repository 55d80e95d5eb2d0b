"""Reads photos as rows of uint8 from the folder itself or from a pack: one interface, byte for byte the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from leafdist.data.decode import LIMIT, Fit, decode
from leafdist.data.index import Index

LEAF = 255  # of a pixel of a leaf
Rows = tuple[NDArray[np.uint8], NDArray[np.int64]]


class Source(Protocol):
    """Photos of one split as squares of uint8."""

    index: Index
    masks: "RowsOfMasks | None"

    def read(self, indices: NDArray[np.int64]) -> Rows:
        """Images uint8 (B,H,W,3) and labels int64 (B,). Raises UnreadablePhotoError."""
        ...


class FolderSource:
    """Decodes photos when they are read."""

    def __init__(
        self, index: Index, side: int, fit: Fit = "stretch", max_pixels: int = LIMIT, filter_: str = "bilinear"
    ) -> None:
        self.index, self.side, self.fit, self.max_pixels, self.filter = index, side, fit, max_pixels, filter_
        self.masks: RowsOfMasks | None = None

    def read(self, indices: NDArray[np.int64]) -> Rows:
        """Decode these photos; see Source."""
        images = np.empty((len(indices), self.side, self.side, 3), np.uint8)
        for row, index in enumerate(indices):
            path = self.index.folder / self.index.names[index]
            images[row] = decode(path, self.side, self.fit, self.max_pixels, self.filter)
        return images, self.index.labels[indices].astype(np.int64)


class JoinedRows:
    """The rows of several packs, one after the other, as if they were one array."""

    def __init__(self, packs: Sequence[NDArray[np.uint8]]) -> None:
        self.packs, self.ends = packs, np.cumsum([len(pack) for pack in packs])
        self.shape = (int(self.ends[-1]), *packs[0].shape[1:])

    def __getitem__(self, chosen: slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        indices = np.arange(*chosen.indices(self.shape[0])) if isinstance(chosen, slice) else chosen
        found = np.empty((len(indices), *self.shape[1:]), np.uint8)
        number = np.searchsorted(self.ends, indices, "right")
        for one, pack in enumerate(self.packs):
            mine = number == one
            found[mine] = pack[indices[mine] - (self.ends[one] - len(pack))]
        return found


class RowsOfMasks:
    """The masks of leaves in `path` by the number of a photo, uint8 (photos,side,side), 255: leaf, 0: background.

    Photos of other roots, whose numbers are `photos` and more, are leaf throughout.
    """

    def __init__(self, path: Path, photos: int, side: int) -> None:
        self.path, self.photos = path, photos
        known = np.memmap(path, np.uint8, mode="r", shape=(photos, side, side))
        self.rows = JoinedRows([known, np.full((1, side, side), LEAF, np.uint8)])

    def read(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Gather the masks of these photos: (b,side,side)."""
        return self.rows[np.minimum(indices, self.photos)]


class PackSource:
    """Gathers rows of memory maps, one after the other, whose pages all ranks of a node share.

    masks: those of the leaves of the photos, where other backgrounds are drawn.
    """

    def __init__(self, index: Index, side: int, *packs: Path) -> None:
        self.index, self.side, self.packs = index, side, packs
        self.masks: RowsOfMasks | None = None
        shapes = [(len(part), side, side, 3) for part in (index.parts or {"": index}).values()]
        mapped = [np.memmap(pack, np.uint8, "r", shape=shape) for pack, shape in zip(packs, shapes, strict=True)]
        self.rows = mapped[0] if len(mapped) == 1 else JoinedRows(mapped)

    def read(self, indices: NDArray[np.int64]) -> Rows:
        """Gather these photos; see Source."""
        return self.rows[indices], self.index.labels[indices].astype(np.int64)
