"""The photos of a split as labels.tsv beside it says: in another class, or left out."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from leafdist.data.labels import NAME, LabelRow, check_targets, no_photo, read_labels
from leafdist.data.photos import SPLITS
from leafdist.system.console import counted

if TYPE_CHECKING:
    from leafdist.data.index import Index

HELD = ("train", "val")  # test is judged as it lies
LOOKERS = 16  # photos looked for at a time: a network answers slowly


def obey_labels(index: "Index", say: Callable[[str], object] | None = None) -> "Index":
    """Move and drop the photos of train or val as `labels.tsv` beside these folders says.

    What changed becomes part of the digest, and what was dropped of the stamp. Raises ValueError for a row that fits no
    photo, or several, and for a class that would be left without photos.
    """
    root, split = index.folder.parent, index.folder.name
    file = root / NAME
    if split not in HELD:
        return index
    if not file.is_file():
        if root.name.startswith("fold-") and (root.parent / NAME).is_file():
            raise ValueError(
                f"{root.parent / NAME}: each fold has labels of its own. Copy the file to {root} and the others"
            )
        return index
    rows = read_labels(file)
    with ThreadPoolExecutor(LOOKERS) as pool:
        sides = list(pool.map(lambda row: _split_of(row, root), rows))
    if say and split == "train" and (test := sum(side == "test" for side in sides)):
        say(f"{file}: skipped {counted(test, 'row')} of test, which is judged as it lies")
    here = _by_photo([row for row, side in zip(rows, sides, strict=True) if side == split])
    check_targets(list(here.values()), index.classes)
    changed = _apply(index, here, root)
    if empty := [name for label, name in enumerate(index.classes) if label not in changed.labels]:
        raise ValueError(f"{file} leaves no photo of {empty[0]!r} in {split}. Keep one there, or split again")
    if say and here:
        moved = sum(row.action == "move" for row in here.values())
        say(f"{file}: {counted(moved, 'photo')} of {split} moved to another class, {len(changed.dropped)} dropped")
    return changed


def _split_of(row: LabelRow, root: Path) -> str:
    """The split in which the photo of a row lies."""
    sides = [split for split in SPLITS if row.split in ("", split) and (root / split / row.photo).is_file()]
    if not sides:
        absent = [split for split in SPLITS if row.split in ("", split) and not (root / split).is_dir()]
        if absent:  # such as train, on a machine that only evaluates
            return absent[0]
        raise no_photo(row, root)
    if len(sides) > 1:
        raise ValueError(f"{row.at}: {row.photo} lies in {' and '.join(sides)}. Write {sides[0]}/{row.photo}")
    return sides[0]


def _by_photo(rows: Sequence[LabelRow]) -> dict[str, LabelRow]:
    found: dict[str, LabelRow] = {}
    for row in rows:
        if (other := found.setdefault(row.photo, row)) is not row:
            raise ValueError(f"{row.at}: {row.photo} stands in {other.at} too. Keep one of the two")
    return found


def _apply(index: "Index", rows: dict[str, LabelRow], root: Path) -> "Index":
    at = {name: number for number, name in enumerate(index.names) if name in rows}
    if hidden := [row for name, row in rows.items() if name not in at]:
        raise no_photo(hidden[0], root)
    labels = index.labels.copy()
    for name, row in rows.items():
        if row.target:
            labels[at[name]] = index.classes.index(row.target)
    moved = [f"{name}\t{index.classes[labels[n]]}" for name, n in at.items() if labels[n] != index.labels[n]]
    dropped = tuple(name for name in at if rows[name].action == "drop")
    gone = [at[name] for name in dropped]
    return replace(
        index,
        names=index.names.without(gone) if gone else index.names,
        labels=np.delete(labels, gone),
        digest=_with(index.digest, [*moved, *dropped]),
        stamp=_with(index.stamp, dropped),
        dropped=dropped,
    )


def _with(digest: str, lines: Sequence[str]) -> str:
    """The digest itself where there are no lines."""
    text = "".join(f"{line}\n" for line in [digest, *lines])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest() if lines else digest
