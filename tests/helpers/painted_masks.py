"""Masks of leaves as `leafdist masks` keeps them, without OpenCV: discs, and of some photos none to be trusted."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.config.schema import DataConfig
from leafdist.data.index import scan
from leafdist.data.leaf_masks import mask_header, mask_path
from leafdist.data.pack import cache_folder, write_rows
from leafdist.data.source import LEAF


def disc(photo: str, side: int) -> NDArray[np.uint8]:
    """Mask (side,side): a disc with a soft edge; leaf throughout for the photos 001."""
    away = np.hypot(*np.mgrid[:side, :side] - (side - 1) / 2)
    soft = np.clip(side / 3 + 0.5 - away, 0, 1) if Path(photo).stem != "001" else np.ones((side, side))
    return np.asarray(np.rint(LEAF * soft), np.uint8)


def paint_masks(root: Path, side: int, split: str = "train") -> Path:
    """Write the masks of a split beside its photos."""
    index, data = scan(root, split), DataConfig(resize=side)
    path = mask_path(index, data, cache_folder(root, None))
    path.parent.mkdir(exist_ok=True)
    write_rows(path, index, partial(disc, side=side), mask_header(index, data), row=side**2, workers=1)
    return path
