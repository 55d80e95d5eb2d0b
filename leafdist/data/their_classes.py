"""Photos whose classes have other names: matched with the run's by name, or by what `data.classes` says."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.data.columns import tab_lines
from leafdist.data.index import Index
from leafdist.data.layouts import one_form

UNKNOWN = -100  # the label that torch's cross_entropy leaves out
Labels = NDArray[np.int16]


def read_map(path: Path, ours: Sequence[str]) -> dict[str, str]:
    """Read `theirs<TAB>ours` lines. Raises ValueError for a line that is none, or whose class is not among `ours`."""
    what = f"data.classes={path}"
    found = dict[str, str]()
    for where, line in tab_lines(path, what, "a file of `theirs<TAB>ours` lines"):
        theirs, tab, our = line.partition("\t")
        if not tab or not theirs or "\t" in our:
            raise ValueError(f"{where}: {line!r} must be one of their classes, a tab and one of ours")
        if our not in ours:
            raise ValueError(
                f"{where}: {our!r} is not a class of the run ({', '.join(ours[:3])}, …). Name one of "
                "these, or remove the line: classes without one are left out"
            )
        if theirs in found:
            raise ValueError(f"{where}: {theirs!r} has a line already; remove one of the two")
        found[theirs] = our
    return found


def match(found: tuple[str, ...], classes: tuple[str, ...], renamed: Mapping[str, str] | None = None) -> Labels:
    """Return the label of each folder: of the class that `renamed` says, or of the same name but for case, blanks and
    Unicode form; UNKNOWN for no class of the run.
    """
    labels = {one_form(name): label for label, name in enumerate(classes)}
    labels |= {name: label for label, name in enumerate(classes)}
    ours = [(renamed or {}).get(name, name) for name in found]
    return np.array([labels.get(name, labels.get(one_form(name), UNKNOWN)) for name in ours], np.int16)


def adopted(index: Index, classes: tuple[str, ...], renamed: Mapping[str, str] | None) -> tuple[Index, dict[str, int]]:
    """Return the index with labels among `classes`, see `match`, and how many photos of each other class it has.

    Raises ValueError where none of its classes is one of them.
    """
    labels = match(index.classes, classes, renamed)
    if (labels == UNKNOWN).all():
        raise ValueError(
            f"{index.folder}: none of its folders ({', '.join(index.classes[:3])}, …) is a class of the run "
            f"({', '.join(classes[:3])}, …). Name the class folders as in training"
        )
    photos = np.bincount(index.labels, minlength=len(labels)).tolist()
    unknown = {name: count for name, count, label in zip(index.classes, photos, labels, strict=True) if label < 0}
    aside = tuple(photo._replace(label=int(labels[photo.label])) for photo in index.set_aside)
    return replace(index, classes=classes, labels=labels[index.labels], set_aside=aside), unknown
