"""What eight pixels at the border of photos would be with the backgrounds that a training draws, for an audit."""

import numpy as np
import torch
from numpy.typing import NDArray

from leafdist.augmentation.backgrounds import in_front, textures
from leafdist.data.pack import BLOCK
from leafdist.data.plan import Purpose, stream_key, uniform_rows
from leafdist.data.source import RowsOfMasks


def redraw_border(
    border: NDArray[np.uint8], halves: NDArray[np.int64], masks: RowsOfMasks, seed: int
) -> NDArray[np.uint8]:
    """Put textures drawn from `seed` behind the leaf in border pixels (n,8,3), at (8,2) `halves` of a photo's side."""
    side = masks.rows.shape[1]
    down, across = halves.T * (side - 1) // 2
    draws = torch.from_numpy(uniform_rows(stream_key(seed, 0, Purpose.BACKGROUND), 0, len(border))[:, 1:])
    behind = torch.cat([textures(part, side)[:, None, down, across] for part in draws.split(BLOCK)])
    leaf = torch.from_numpy(masks.rows.packs[0][:, None, down, across])
    return in_front(torch.from_numpy(border[:, None]), leaf, behind)[:, 0].numpy()
