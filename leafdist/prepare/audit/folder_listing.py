"""Lists everything in a raw or a split folder, photos or not."""

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import NamedTuple

from leafdist.data.layouts import check_local, check_split, split_of
from leafdist.data.photos import SPLITS, below_single_folders, check_finished, folders_in, list_classes, list_images
from leafdist.prepare.raw_layout import find_photos


class Photo(NamedTuple):
    """A photo at `split/label/file` below the audited folder."""

    split: str  # empty where the folder is not split
    label: str
    file: str
    inner: str = ""  # the path in a raw folder, where that is not label/file

    @property
    def path(self) -> str:
        """Return the path below the audited folder."""
        return self.inner or "/".join(part for part in self if part)


@dataclass
class Listing:
    """photos: in path order; classes: sorted, by split; others: paths that are no photos of a class; kinds: of those
    in class folders, counted; remarks: what a raw folder holds outside of its classes."""

    root: Path
    photos: list[Photo] = field(default_factory=list)
    classes: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        """Return the sorted names of the classes of all splits."""
        return sorted({name for names in self.classes.values() for name in names})


def list_folder(root: Path, layout: str | None = None) -> Listing:
    """List `root/{train,val,test}/<class>/` if one exists, else the raw folder `root`; also below single folders.

    layout: that of a raw folder, see `find_photos`. Raises ValueError where there is no photo, or no class, where the
    split is unfinished, or where one of train, val and test has another name.
    """
    check_local(root)
    raw, root = root, below_single_folders(root)
    check_finished(root)
    if folds := sorted(path.name for path in root.glob("fold-*") if (path / "train").is_dir()):
        raise ValueError(f"{root} holds {len(folds)} folds: audit one of them, such as {root / folds[0]}")
    splits = [] if layout else [name for name in SPLITS if (root / name).is_dir()]
    meant = {split_of(path.name) for path in folders_in(root)}
    if "train" in meant and not layout and len(meant - {""}) > 1:
        for split in meant - {""}:
            check_split(root, split)
    listing = _raw(raw, layout) if not splits else Listing(root)
    for split in splits:
        listing.classes[split] = list_classes(root / split)
        listing.others += _others(root / split, root, set(listing.classes[split]))
        for label in listing.classes[split]:
            entries, kinds = list_images(root / split / label)
            files = [entry.name for entry in entries]
            listing.kinds += kinds
            listing.photos += [Photo(split, label, file) for file in files]
            listing.others += _others(root / split / label, root, set(files))
    if not listing.photos:
        raise ValueError(f"{root} holds no photo: name a folder of class folders, or of train, val and test")
    return listing


def _raw(raw: Path, layout: str | None) -> Listing:
    found = find_photos(raw, layout)
    listing = Listing(found.root, kinds=sum(found.others.values(), Counter[str]()), remarks=found.remarks)
    listing.classes[""] = list(found.names)
    for label, files in found.names.items():
        listing.photos += [Photo("", label, file, found.sources.get((label, file), "")) for file in files]
    known: defaultdict[Path, set[str]] = defaultdict(set)
    for path in (PurePath(photo.path) for photo in listing.photos):
        known[found.root / path.parent].add(path.name)
        for parent in path.parents:
            known[found.root / parent.parent].add(parent.name)
    listing.others += [one for folder, names in known.items() for one in _others(folder, found.root, names)]
    return listing


def _others(folder: Path, root: Path, known: set[str]) -> list[str]:
    names = sorted(set(os.listdir(folder)) - known)  # noqa: PTH208 (names are all that is asked)
    return [str((folder / name).relative_to(root)) for name in names]
