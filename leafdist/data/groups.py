"""Leaf ids from a file: which photos show the same leaf."""

from collections.abc import Collection, Sequence
from pathlib import Path

from leafdist.data.columns import read_columns
from leafdist.data.layouts import one_form

LeafIds = dict[tuple[str, str], str]  # (class, stem) to the leaf's id; ids count within their class


def read_groups(path: Path) -> LeafIds:
    """Read leaf ids by (class, stem), without empty ids. Raises ValueError naming the file and line."""
    ids: LeafIds = {}
    for line, (name, stem, leaf) in read_columns(path, ("class", "stem", "leaf_id")):
        if leaf and ids.setdefault((name, stem), leaf) != leaf:
            raise ValueError(f"{path}, line {line}: {name}/{stem} has a second leaf id, {leaf!r}. Keep one")
    return ids


def leaves_of_paths(paths: Sequence[str], groups: Path) -> list[tuple[str, object]]:
    """Return the leaf of each photo `class/file`; one without an id is a leaf of its own.

    Raises ValueError for a file that cannot be read, misspells a class, or names none of the photos.
    """
    ids = read_groups(groups)
    photos = [(name, file) for name, file in (path.split("/") for path in paths)]
    unknown_classes(ids, {name for name, _ in photos}, groups)
    leaves = [leaf_of(ids, *photo) for photo in photos]
    if not any(leaves):
        raise ValueError(f"{groups} names none of these photos: class and stem must be folder and file name")
    return [(name, leaf or (file,)) for (name, file), leaf in zip(photos, leaves, strict=True)]


def leaf_of(ids: LeafIds, label: str, file: str) -> str | None:
    """Return the leaf id of a photo, None where it has none; a stem with the file's ending is understood too."""
    return ids.get((label, Path(file).stem)) or ids.get((label, file))


def unknown_classes(ids: LeafIds, classes: Collection[str], path: Path) -> list[str]:
    """List the classes of a groups file that the data lacks.

    Raises ValueError for one that differs from a class of the data by case, Unicode form or blanks only: the photos of
    its leaves would be separated.
    """
    unknown = sorted({name for name, _ in ids}.difference(classes))
    known = {one_form(name): name for name in classes}
    for name in unknown:
        if meant := known.get(one_form(name)):
            raise ValueError(f"{path}: class {name!r} is spelt {meant!r} in the data. Make the file say the same")
    return unknown
