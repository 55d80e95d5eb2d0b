"""Which photos there are, in which order, of which class: scanned once, by one process."""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from leafdist.data.images import UNFINISHED, list_classes, list_images


class Names(Sequence[str]):
    """`class/file` of every photo, class by class, in a few bytes more than the file names have: millions fit."""

    def __init__(self) -> None:
        self.classes: list[str] = []
        self.files: list[bytes] = []  # of a class, one after the other
        self.ends: list[NDArray[np.int64]] = []  # of each file name in them
        self.lasts: list[int] = []  # photos up to and including a class

    def add(self, name: str, files: Sequence[str]) -> None:
        encoded = [os.fsencode(file) for file in files]
        self.classes.append(name)
        self.files.append(b"".join(encoded))
        self.ends.append(np.fromiter(accumulate(map(len, encoded)), np.int64, len(files)))
        self.lasts.append(len(self) + len(files))

    def __len__(self) -> int:
        return self.lasts[-1] if self.lasts else 0

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if not 0 <= place < len(self):
            raise IndexError(place)
        number = bisect_right(self.lasts, place)
        ends = self.ends[number]
        row = int(place) - (self.lasts[number] - len(ends))
        start = ends[row - 1] if row else 0
        return f"{self.classes[number]}/{os.fsdecode(self.files[number][start : ends[row]])}"


@dataclass(frozen=True)
class Index:
    """The photos of one split, in path order.

    names: `class/file` relative to `root/split`; labels (n,) int16 into `classes`; digest: of names and sizes, what a
    run is trained on; stamp: of names, sizes and times, what a pack was made from.
    """

    folder: Path
    classes: tuple[str, ...]
    names: Names
    labels: NDArray[np.int16]
    digest: str
    stamp: str

    def __len__(self) -> int:
        return len(self.labels)


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
    names, labels, digest, stamp = Names(), [], hashlib.sha256(), hashlib.sha256()
    for label, name in sorted(enumerate(known), key=lambda pair: pair[1]):
        photos, _ = list_images(folder / name)
        if not photos:
            raise ValueError(f"{folder / name} holds no photo: each class needs one in each split")
        names.add(name, [photo.name for photo in photos])
        labels.append(np.full(len(photos), label, np.int16))
        for photo in photos:
            status = photo.stat()
            line = os.fsencode(f"{name}/{photo.name}\t{status.st_size}")
            digest.update(line + b"\n")
            stamp.update(line + b"\t%d\n" % status.st_mtime_ns)
    return Index(folder, known, names, np.concatenate(labels), digest.hexdigest(), stamp.hexdigest())


def _check_classes(folder: Path, found: Sequence[str], known: Sequence[str]) -> None:
    extra, missing = sorted(set(found) - set(known)), sorted(set(known) - set(found))
    if extra:
        raise ValueError(f"{folder / extra[0]}: class {extra[0]!r} is not a class of train. Remove it or split again")
    if missing:
        raise ValueError(f"{folder} lacks the class {missing[0]!r} of train: every split has every class. Split again")
