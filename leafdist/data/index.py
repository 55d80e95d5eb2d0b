"""The index of a split: its photos, their order and their classes."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leafdist.data.layouts import check_spelling, check_split, refuse_other_classes
from leafdist.data.names import Names
from leafdist.data.photos import check_finished, in_words, list_classes, list_images
from leafdist.data.relabel import obey_labels

NEEDED = ("train", "val")  # splits in which each class needs a photo
THREADS = 16  # folders listed at a time: a network answers slowly


class SetAside(NamedTuple):
    """A photo that cannot be decoded, and why."""

    name: str
    label: int
    reason: str


@dataclass(frozen=True)
class Index:
    """The photos of one split, in path order.

    names: `class/file` relative to `root/split`; labels (n,) int16 into `classes`; digest: of names and sizes, tells
    what a run is trained on; stamp: of names, sizes and times, tells what a pack was made from; set_aside: photos of
    the folder that are not in names; passed_over: how many other files are there, by kind; dropped: names of photos
    that labels.tsv takes out; parts: of an index of several roots, those of each by its name, the main one's first,
    under "". A photo that labels.tsv moves keeps its name, which tells where it lies, not its class.
    """

    folder: Path
    classes: tuple[str, ...]
    names: Names
    labels: NDArray[np.int16]
    digest: str
    stamp: str
    set_aside: tuple[SetAside, ...] = ()
    passed_over: dict[str, int] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    parts: dict[str, "Index"] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def every_name(self) -> list[str]:
        """List all names, those of photos that were set aside last, as in an evaluation."""
        return [*self.names, *(photo.name for photo in self.set_aside)]

    @property
    def main(self) -> "Index":
        """The index of the photos in `data.root`."""
        return self.parts.get("", self)

    @property
    def known(self) -> int:
        """The number of photos of classes that the run knows: all, in `data.root`."""
        return int((self.labels >= 0).sum())

    def named(self, split: str) -> dict[str, "Index"]:
        """Return the index of each root's photos: `train`, `train@field`, …"""
        return {f"{split}@{name}" if name else split: part for name, part in (self.parts or {"": self}).items()}


def scan(root: Path, split: str, classes: Sequence[str] | None = None) -> Index:
    """Scan `root/split`. With `classes` (those of train) the folders must be the same; labels follow their order.

    In test a class may have no photo. Raises ValueError naming the folder that is missing, empty or of another class,
    or the row of labels.tsv that is wrong.
    """
    return obey_labels(scan_facts(root, split, classes)[0])


def scan_facts(root: Path, split: str, classes: Sequence[str] | None = None) -> tuple[Index, NDArray[np.int64]]:
    """Scan without labels.tsv; also return the size in bytes and the time of change in ns of each photo, (n, 2)."""
    folder, known = check_classes(root, split, classes)
    names = sorted(known)
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda name: _photos(folder / name, needed=split in NEEDED), names))
    if not any(files for files, *_ in found):
        raise ValueError(f"{folder} holds no photo: they lie in one folder per class. Put photos there or split again")
    digest, stamp = hashlib.sha256(), hashlib.sha256()
    for name, (files, facts, _) in zip(names, found, strict=True):
        prefix = os.fsencode(name)
        for file, (size, time) in zip(files, facts.tolist(), strict=True):
            line = b"%s/%s\t%d" % (prefix, file, size)
            digest.update(line + b"\n")
            stamp.update(line + b"\t%d\n" % time)
    paths = Names.of({name: files for name, (files, *_) in zip(names, found, strict=True)})
    others = sum((kinds for *_, kinds in found), Counter[str]())
    labels = labels_of(known, paths)
    index = Index(folder, known, paths, labels, digest.hexdigest(), stamp.hexdigest(), (), dict(others))
    return index, np.concatenate([facts for _, facts, _ in found])


def check_classes(root: Path, split: str, classes: Sequence[str] | None) -> tuple[Path, tuple[str, ...]]:
    """Return the folder of a split and its classes in label order. Raises ValueError as `scan` does."""
    check_finished(root)
    folder = root / split
    check_split(root, split)
    found = list_classes(folder)
    if not classes:
        check_spelling(folder, found)
    if split == "train" and len(found) == 1 and not classes:
        raise ValueError(
            f"{folder} holds the class {found[0]!r} alone: telling classes apart takes two. Add photos of another one, "
            "such as healthy leaves"
        )
    known = tuple(classes or found)
    refuse_other_classes(folder, found, known, missing=split in NEEDED)
    return folder, known


def labels_of(classes: Sequence[str], names: Names) -> NDArray[np.int16]:
    """Return the label of each photo, (n,) int16, in the order of the names."""
    labels = {name: label for label, name in enumerate(classes)}
    return np.repeat(np.array([labels[name] for name in names.classes], np.int16), list(names.counts.values()))


def _photos(folder: Path, *, needed: bool) -> tuple[list[bytes], NDArray[np.int64], Counter[str]]:
    """The photos of a class, which only a split to test on may lack."""
    photos, others = list_images(folder) if needed or folder.is_dir() else ([], Counter[str]())
    if needed and not photos:
        beside = f", only {in_words(others)}" if others else ""
        raise ValueError(
            f"{folder} holds no photo{beside}: train and val need photos of each class. Move some there, or split again"
        )
    facts = np.empty((len(photos), 2), np.int64)
    for row, photo in zip(facts, photos, strict=True):
        status = photo.stat()
        row[:] = status.st_size, status.st_mtime_ns
    return [os.fsencode(photo.name) for photo in photos], facts, others
