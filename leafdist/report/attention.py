"""Where the network looked, for some photos: what it said and, if that is wrong, what it missed."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from leafdist.config.schema import Config
from leafdist.data.augment import Augment
from leafdist.data.decode import decode
from leafdist.models.gradcam import grad_cam, overlay
from leafdist.pages.pictures import SIDE
from leafdist.runs.load import load_run
from leafdist.runs.saved_config import read_config

Picture = NDArray[np.uint8]


def attention(run: Path, folder: Path, paths: list[str], labels: list[int]) -> list[Picture]:
    """Of each photo with the class asked about, the part that the network sees with its heat over it."""
    loaded = load_run(run)
    data = loaded.config.data
    rows = torch.from_numpy(np.stack([decode(folder / path, data.resize, data.fit) for path in paths]))
    seen = Augment.from_config(data).for_evaluation()(rows)
    heat = grad_cam(loaded.model, seen, torch.tensor(labels)).numpy()
    return [overlay(_seen(folder / path, loaded.config), one) for path, one in zip(paths, heat, strict=True)]


def places(run: Path) -> tuple[int, int]:
    """Pixels that the network sees of a side, and the places that its last maps divide them into."""
    config = read_config(run)
    pixels = config.data.side
    return pixels, -(-pixels // 32) if config.model.name == "resnet50" else pixels // 8


def _seen(path: Path, config: Config) -> Picture:
    """The middle that evaluation crops, at the size of the page's pictures."""
    data = config.data
    whole = round(SIDE * data.resize / data.side)
    start = (whole - SIDE) // 2
    return decode(path, whole, data.fit)[start : start + SIDE, start : start + SIDE]
