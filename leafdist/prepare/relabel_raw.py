"""Raw photos as a labels.tsv says: in another class, or left out."""

from collections.abc import Sequence
from dataclasses import replace

from leafdist.data.labels import LabelRow, check_targets, no_photo
from leafdist.prepare.partition import Photo
from leafdist.prepare.raw_layout import INNER, RawPhotos


def relabel_raw(photos: RawPhotos, rows: Sequence[LabelRow]) -> RawPhotos:
    """Return the photos with those that are moved in their new class, and without those that are dropped.

    A moved photo keeps its name, with its old class before it where the new class has a photo of that name. Raises
    ValueError for a row that fits no photo, and for a class that is not there.
    """
    check_targets(rows, photos.names)
    names = {label: set(files) for label, files in photos.names.items()}
    for row in rows:
        label, _, file = row.photo.partition("/")
        if row.split:
            new = f"{label}/{row.split}{INNER}{file}"
            raise ValueError(
                f"{row.at}: raw photos have no splits. Write {row.photo}, or {new} where {label} has two of it"
            )
        if file not in names.get(label, ()):
            raise no_photo(row, photos.root)
        if row.action != "keep":
            names[label].remove(file)
    given: dict[Photo, Photo] = {}
    for row in sorted(rows, key=lambda row: row.photo):
        label, _, file = row.photo.partition("/")
        if row.target:
            name = file if file not in names[row.target] else f"{label}{INNER}{file}"
            if name in names[row.target]:
                raise ValueError(f"{row.at}: {row.target} has photos {file} and {name} already. Rename {row.photo}")
            names[row.target].add(name)
            given[row.target, name] = label, file
    sources = photos.sources | {photo: photos.at(old) for photo, old in given.items()}
    return replace(photos, names={label: sorted(files) for label, files in names.items()}, sources=sources, given=given)
