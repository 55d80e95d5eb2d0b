"""What augmentation makes of photos: a few of train, as evaluation sees them and as eight epochs draw them."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from leafdist.config.schema import Config, DataConfig
from leafdist.data.augment import Augment
from leafdist.data.background_photos import find_backgrounds, pack_backgrounds, rows_of
from leafdist.data.decode import decode
from leafdist.data.folds import fold_root, split_folder
from leafdist.data.index import scan
from leafdist.data.leaf_masks import find_masks
from leafdist.data.pack import cache_folder
from leafdist.data.photos import list_classes, list_images
from leafdist.data.plan import EpochPlan, streams
from leafdist.data.quarantine import screen
from leafdist.data.source import RowsOfMasks
from leafdist.pages.pictures import Picture, picture
from leafdist.system import console, files
from leafdist.system.errors import UnreadablePhotoError
from leafdist.system.processes import usable_cores

PHOTOS = EPOCHS = 8
GAP = 2  # pixels between two pictures
WIDTH = 640  # pixels of the picture in a report


def write_preview(config: Config, path: Path) -> None:
    """Write the picture of a configuration as PNG. Raises ValueError."""
    pixels = augmented(config, fold_root(Path(config.data.root), config.data.fold) / "train")
    with files.atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, "PNG")


def preview(config: Config) -> Picture | None:
    """Return the same for a report, smaller; None where nothing is augmented, or the photos are not at hand."""
    if not (config.augment.draws_anew or config.augment.background):
        return None
    try:
        whole = Image.fromarray(augmented(config, split_folder(config.data) / "train"))
    except ValueError:  # the photos are gone, or no longer what they were at the training
        return None
    small = whole.resize((WIDTH, WIDTH * whole.height // whole.width), Image.Resampling.BOX)
    return picture(np.asarray(small), "Photos as evaluation sees them, and as eight epochs of training do")


def augmented(config: Config, train: Path) -> NDArray[np.uint8]:
    """One picture (h,w,3): a row per photo, first as evaluation sees it, then in epochs 0 to 7, before normalisation.

    The draws are those of an epoch's first photos; mixup and CutMix are left out. Raises ValueError.
    """
    data = replace(config.data, normalize="none")
    found = _spread(train, data)
    names, photos = list(found), torch.from_numpy(np.stack(list(found.values())))
    masks, backgrounds = _behind(config, train, names) if config.augment.background else (None, None)
    augment, drawn = Augment.from_config(data, config.augment, backgrounds), streams(config.augment)
    plans = [EpochPlan(PHOTOS, PHOTOS, config.seed, epoch, drawn) for epoch in range(EPOCHS)]
    seen = [augment.for_evaluation()(photos)]
    seen += [augment(photos, torch.from_numpy(plan.share(0).draws)[: len(photos)], masks) for plan in plans]
    apart = F.pad(torch.stack(seen, 1), (0, GAP, 0, GAP), value=1.0)
    rows, columns, _, height, width = apart.shape
    whole = apart.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, 3)[:-GAP, :-GAP]
    return (whole * 255).round().to(torch.uint8).numpy()


def _behind(config: Config, train: Path, names: Sequence[str]) -> tuple[Tensor, Tensor | None]:
    """Find the masks of photos (n,side,side), and the photos of `augment.background_folder`. Raises ValueError."""
    config = replace(config, data=replace(config.data, stage=False))  # no copy is needed for one look
    data, cores, side, backgrounds = config.data, usable_cores(), int(config.data.resize), None
    packs = cache_folder(train.parent, data.cache)
    index = screen(scan(train.parent, train.name), data, packs, cores, console.say_aside)
    rows, masks = {name: row for row, name in enumerate(index.names)}, find_masks(index, data)
    mine = RowsOfMasks(masks, len(index), side).read(np.array([rows.get(name, len(index)) for name in names]))
    if config.augment.background_folder is not None:
        others = find_backgrounds(config, cores, console.say_aside)
        backgrounds = rows_of(pack_backgrounds(config, others, cores, console.say_aside), len(others), side)
    return torch.from_numpy(mine), backgrounds


def _spread(train: Path, data: DataConfig) -> dict[str, NDArray[np.uint8]]:
    """Decode PHOTOS photos (side,side,3), of as many classes as there are: the first readable ones of each, by name."""
    classes = list_classes(train)
    wanted = [classes[number * len(classes) // PHOTOS] for number in range(PHOTOS)]
    found = {name: _readable(train / name, data) for name in dict.fromkeys(wanted)}
    photos = dict(photo for name in wanted if (photo := next(found[name], None)))
    if not photos:
        raise ValueError(f"{train} has no photo that can be read in {', '.join(found)}. Replace or remove the damaged")
    return photos


def _readable(folder: Path, data: DataConfig) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for path in list_images(folder)[0]:
        with suppress(UnreadablePhotoError):
            photo = decode(Path(path), int(data.resize), data.fit, data.max_pixels, data.interpolation)
            yield f"{folder.name}/{path.name}", photo
