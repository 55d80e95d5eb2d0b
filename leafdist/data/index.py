"""Which photos there are, in which order, of which class: scanned once, by one process."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.data.images import UNFINISHED, list_classes, list_images


@dataclass(frozen=True)
class Index:
    """The photos of one split, in path order.

    names: `class/file` relative to `root/split`; labels (n,) int64 into `classes`; digest: of names and sizes, what a
    run is trained on; stamp: of names, sizes and times, what a pack was made from.
    """

    folder: Path
    classes: tuple[str, ...]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    digest: str
    stamp: str

    def __len__(self) -> int:
        return len(self.names)


def scan(root: Path, split: str, classes: Sequence[str] | None = None) -> Index:
    """Scan `root/split`. With `classes` (those of train) the folders must be the same; labels follow their order.

    Raises ValueError naming the folder that is missing, empty or of another class.
    """
    if (root / UNFINISHED).exists():
        raise ValueError(f"{root} is an unfinished split: run the same `leafdist split` again, it starts over")
    folder = root / split
    found = list_classes(folder)
    known = tuple(classes or found)
    _check_classes(folder, found, known)
    names, labels, lines, stamps = [], [], [], []
    for label, name in sorted(enumerate(known), key=lambda pair: pair[1]):
        photos, _ = list_images(folder / name)
        if not photos:
            raise ValueError(f"{folder / name} holds no photo: each class needs one in each split")
        for photo in photos:
            status = photo.stat()
            names.append(f"{name}/{photo.name}")
            labels.append(label)
            lines.append(f"{names[-1]}\t{status.st_size}")
            stamps.append(f"{lines[-1]}\t{status.st_mtime_ns}")
    return Index(folder, known, tuple(names), np.array(labels, np.int64), _digest(lines), _digest(stamps))


def _check_classes(folder: Path, found: Sequence[str], known: Sequence[str]) -> None:
    extra, missing = sorted(set(found) - set(known)), sorted(set(known) - set(found))
    if extra:
        raise ValueError(f"{folder / extra[0]}: class {extra[0]!r} is not a class of train. Remove it or split again")
    if missing:
        raise ValueError(f"{folder} lacks the class {missing[0]!r} of train: every split has every class. Split again")


def _digest(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
