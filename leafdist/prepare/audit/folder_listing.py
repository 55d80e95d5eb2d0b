"""Lists everything in a raw or a split folder, photos or not."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from leafdist.data.photos import SPLITS, below_single_folders, check_finished, list_classes, list_images


class Photo(NamedTuple):
    """A photo at `split/label/file` below the audited folder."""

    split: str  # empty where the folder is not split
    label: str
    file: str

    @property
    def path(self) -> str:
        """Return the path below the audited folder."""
        return "/".join(part for part in self if part)


@dataclass
class Listing:
    """photos: in path order; classes: sorted, by split; others: paths that are no photos of a class; kinds: of those
    in class folders, counted."""

    root: Path
    photos: list[Photo] = field(default_factory=list)
    classes: dict[str, list[str]] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def labels(self) -> list[str]:
        """Return the sorted names of the classes of all splits."""
        return sorted({name for names in self.classes.values() for name in names})


def list_folder(root: Path) -> Listing:
    """List `root/{train,val,test}/<class>/` if one of these exists, else `root/<class>/`, also below single folders.

    Raises ValueError where there is no photo, or no class, or the split is unfinished.
    """
    root = below_single_folders(root)
    check_finished(root)
    if folds := sorted(path.name for path in root.glob("fold-*") if (path / "train").is_dir()):
        raise ValueError(f"{root} holds {len(folds)} folds: audit one of them, such as {root / folds[0]}")
    listing = Listing(root)
    for split in [name for name in SPLITS if (root / name).is_dir()] or [""]:
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


def _others(folder: Path, root: Path, known: set[str]) -> list[str]:
    names = sorted(set(os.listdir(folder)) - known)  # noqa: PTH208 (names are all that is asked)
    return [str((folder / name).relative_to(root)) for name in names]
