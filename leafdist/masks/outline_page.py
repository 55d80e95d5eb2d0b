"""Masks as one page of HTML that loads nothing: how many photos of each class have one, and outlines to look at."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leafdist.config.schema import DataConfig
from leafdist.data.decode import decode
from leafdist.masks.cut import WORK, cut_leaf, outlined
from leafdist.masks.split_masks import SplitMasks
from leafdist.pages.pictures import Picture, picture
from leafdist.pages.render import Section, render_page
from leafdist.system.console import counted

SHOWN = 4  # photos of a class with a trusted mask, and as many without, at about 4 KB each


@dataclass(frozen=True)
class Outline:
    """A photo with the outline that was found, and why that is not to be trusted."""

    picture: Picture
    name: str
    doubts: str


@dataclass(frozen=True)
class ClassMasks:
    """A class: how many of its photos have a trusted mask; some of these, and some of the others."""

    name: str
    trusted: int
    photos: int
    shown: list[Outline]
    left: list[Outline]


def page(splits: Sequence[SplitMasks], data: DataConfig) -> str:
    """Return the page of all splits; pictures are of the first one's photos, which are cut again for it."""
    first = splits[0]
    counts = np.sum([split.by_class for split in splits], axis=0).tolist()
    classes = []
    for label, (name, (kept, every)) in enumerate(zip(first.index.classes, counts, strict=True)):
        mine = first.index.labels == label
        shown, left = (_some(first, np.flatnonzero(mine & rows), data) for rows in (first.trusted, ~first.trusted))
        classes.append(ClassMasks(name, kept, every, shown, left))
    section = Section("masks", "Leaf masks", "masks/outlines.html", classes)
    return render_page("Leaf masks", headline(splits), "", [section], scripts=False)


def headline(splits: Sequence[SplitMasks]) -> str:
    """Say how many photos of each split have a trusted mask."""
    parts = [f"{split.index.folder.name} {split.trusted.sum()} of {len(split.index)}" for split in splits]
    kept, every = sum(int(split.trusted.sum()) for split in splits), sum(len(split.index) for split in splits)
    return f"trusted: {', '.join(parts)}; {kept / every:.1%} of {counted(every, 'photo')}"


def _some(split: SplitMasks, rows: np.ndarray, data: DataConfig) -> list[Outline]:
    """Outlines of a few of these photos, evenly spread."""
    chosen = rows[np.unique(np.linspace(0, len(rows) - 1, SHOWN).astype(int))] if len(rows) else rows
    found = []
    for name in (split.index.names[row] for row in chosen.tolist()):
        photo = decode(split.index.folder / name, WORK, data.fit, data.max_pixels)
        cut = cut_leaf(photo)
        found.append(Outline(picture(outlined(photo, cut.mask), name), name, ", ".join(cut.doubts)))
    return found
