"""Makes the masks of a split and keeps them beside its pack: by all cores, checked, whole or absent."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.config.schema import DataConfig
from leafdist.data.cache import alone, prune
from leafdist.data.decode import Fit, decode
from leafdist.data.index import Index
from leafdist.data.leaf_masks import mask_family, mask_fault, mask_header, mask_path, trusted
from leafdist.data.pack import cache_folder, write_rows
from leafdist.data.source import LEAF, RowsOfMasks
from leafdist.masks.cut import WORK, cut_leaf, softened
from leafdist.system import console
from leafdist.system import processes as children


@dataclass(frozen=True)
class SplitMasks:
    """The masks of a split: their file, the photos they are of, and which are trusted, (n,)."""

    path: Path
    index: Index
    trusted: NDArray[np.bool_]

    @property
    def by_class(self) -> list[tuple[int, int]]:
        """How many photos of each class have a trusted mask, and how many there are."""
        labels = self.index.labels.astype(np.int64)
        count = len(self.index.classes)
        kept, every = np.bincount(labels[self.trusted], minlength=count), np.bincount(labels, minlength=count)
        return list(zip(kept.tolist(), every.tolist(), strict=True))


def ensure_masks(index: Index, data: DataConfig, workers: int) -> SplitMasks:
    """Return the masks of `index`, made where they are missing, of other photos, or damaged. Raises ValueError."""
    folder = cache_folder(index.folder.parent, data.cache)
    path, name = mask_path(index, data, folder), mask_family(index, data)
    try:
        with alone(folder, name, console.say_aside):
            if fault := mask_fault(path, index, data):
                console.say_aside(f"masking {len(index)} photos of {index.folder} into {path} ({fault})")
                prune(folder, name)
                side = int(data.resize)
                work = partial(mask_of, side=side, fit=data.fit, max_pixels=data.max_pixels)
                write_rows(path, index, work, mask_header(index, data), row=side**2, workers=workers, doing="masking")
    except children.HelperKilledError as error:
        raise ValueError(f"{index.folder} cannot be masked: {error}. Ask for more memory or fewer cores") from error
    except OSError as error:
        raise ValueError(f"{folder}: no masks fit there ({error}). Name another folder with --cache") from error
    return SplitMasks(path, index, trusted(RowsOfMasks(path, len(index), int(data.resize))))


def mask_of(photo: str, side: int, fit: Fit, max_pixels: int) -> NDArray[np.uint8]:
    """Mask a photo: (side,side) uint8, leaf throughout where the mask is not to be trusted."""
    found = cut_leaf(decode(photo, WORK, fit, max_pixels))
    return np.full((side, side), LEAF, np.uint8) if found.doubts else softened(found.mask, side)
