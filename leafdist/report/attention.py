"""The parts of a photo that speak for a class: what the network said and, if that is wrong, what it missed."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from leafdist.config.schema import DataConfig
from leafdist.data.augment import Augment
from leafdist.data.decode import decode
from leafdist.models.gradcam import grad_cam, overlay
from leafdist.pages.pictures import SIDE
from leafdist.runs.load import load_run


def attention(run: Path, folder: Path, paths: list[str], labels: list[int]) -> list[tuple[NDArray[np.uint8], bool]]:
    """For each photo and class: what the network sees (h,w,3) under the heat of the class, and whether it has any."""
    loaded = load_run(run)
    data = loaded.config.data
    how = int(data.resize), data.fit, data.max_pixels, data.interpolation
    rows = torch.from_numpy(np.stack([decode(folder / path, *how) for path in paths]))
    seen = Augment.from_config(data).for_evaluation()(rows)
    heat = grad_cam(loaded.model, loaded.network, seen, torch.tensor(labels)).numpy()
    return [(overlay(_seen(folder / path, data), one), bool(one.any())) for path, one in zip(paths, heat, strict=True)]


def _seen(path: Path, data: DataConfig) -> NDArray[np.uint8]:
    """The middle that evaluation crops, at the size of the page's pictures."""
    side = round(SIDE * int(data.resize) / data.side)
    start = (side - SIDE) // 2
    return decode(path, side, data.fit, data.max_pixels, data.interpolation)[start : start + SIDE, start : start + SIDE]
