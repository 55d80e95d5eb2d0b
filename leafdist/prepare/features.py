"""Reads every photo once, in parallel processes, and keeps what an audit needs of it."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from leafdist.data.decode import fault, mode_of, opened, orientation, upright
from leafdist.data.first_bytes import HEAD
from leafdist.system import console
from leafdist.system import processes as children

SIDE = 32  # pixels of a thumbnail
DRAFT = (
    512  # a JPEG at least twice as large is decoded at a fraction of its size: all that is computed from it is smaller
)
BORDER = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2))  # corners and middles of sides, in halves
TASK = 64  # photos per task


class Facts(NamedTuple):
    """Facts about a photo file. fault: why it cannot be decoded; what follows is then empty."""

    size: int
    sha256: str
    fault: str = ""
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    orientation: int = 1  # EXIF


@dataclass(frozen=True)
class Features:
    """Thumbnails (n,32,32,3) uint8 and border pixels (n,8,3) uint8 of n photos, zero where they are not readable."""

    facts: list[Facts]
    thumbnails: NDArray[np.uint8]
    border: NDArray[np.uint8]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Tell which photos can be decoded, (n,)."""
        return np.array([not facts.fault for facts in self.facts], bool)

    def gray(self) -> NDArray[np.float32]:
        """Return the luma (Rec. 601) of the thumbnails, (n,32,32)."""
        return (self.thumbnails @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.float32, copy=False)


def read_features(photos: Sequence[Path], workers: int) -> Features:
    """Read all photos; one that cannot be read or decoded has a fault."""
    tasks = [photos[start : start + TASK] for start in range(0, len(photos), TASK)]
    facts: list[list[Facts]] = [[] for _ in tasks]
    thumbnails = np.zeros((len(photos), SIDE, SIDE, 3), np.uint8)
    border = np.zeros((len(photos), len(BORDER), 3), np.uint8)
    with console.bar(len(photos), "photo", "looking") as bar:
        for task, several in children.share_out(_look_at_all, tasks, workers):
            for row, (found, pixels, edge) in enumerate(several, task * TASK):
                thumbnails[row], border[row] = pixels, edge
                facts[task].append(found)
            bar.update(len(several))
    return Features([one for several in facts for one in several], thumbnails, border)


Look = tuple[Facts, NDArray[np.uint8] | int, NDArray[np.uint8] | int]


def _look_at_all(photos: Sequence[Path]) -> list[Look]:
    return [look_at(photo) for photo in photos]


def look_at(photo: Path) -> Look:
    """Return facts, thumbnail (32,32,3) and border pixels (8,3) of the photo, turned as EXIF says."""
    try:
        content = photo.read_bytes()
    except OSError as error:
        return Facts(0, f"unread {photo}", fault=f"{type(error).__name__}: {error.strerror}"), 0, 0
    facts = Facts(len(content), hashlib.sha256(content).hexdigest())
    try:
        with opened(io.BytesIO(content)) as image:
            facts = facts._replace(format=image.format or "", mode=mode_of(image), orientation=orientation(image))
            facts = facts._replace(width=image.width, height=image.height)
            image.draft(None, (DRAFT, DRAFT))
            whole = upright(image)
    except Exception as error:  # noqa: BLE001  # a decoder may raise anything for a damaged file, which is what we look for
        return facts._replace(fault=fault(error, content[:HEAD])), 0, 0
    pixels = np.asarray(whole)
    rows, columns = np.array(BORDER).T * ((np.array(pixels.shape[:2]) - 1) / 2)[:, None]
    small = whole.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return facts, np.asarray(small), pixels[rows.astype(int), columns.astype(int)]
