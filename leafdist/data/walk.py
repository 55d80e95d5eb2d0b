"""Photos anywhere: files by name, folders walked to the bottom. Labels play no part."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from PIL import Image


def photos_below(places: Iterable[Path], report: Callable[[str], None]) -> Iterator[Path]:
    """Each file of `places`, and of each folder all that PIL reads, by name; links are followed, hidden ones are not.

    A file that is named is given whatever its name. What is not there, or holds no photo, goes to `report`.
    """
    suffixes = openable()
    for place in places:
        if not place.is_dir():
            yield place
            continue
        empty = True
        for path in _walk(place, report):
            if path.suffix.lower() in suffixes:
                empty = False
                yield path
        if empty:
            report(f"{place} holds no photo, nor do its sub-folders")


def openable() -> set[str]:
    """Suffixes of what PIL opens."""
    return {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN}


def _walk(root: Path, report: Callable[[str], None]) -> Iterator[Path]:
    seen = set[str]()  # a link may lead back up

    def is_new(path: str) -> bool:
        real = os.path.realpath(path)
        fresh = real not in seen
        seen.add(real)
        return fresh

    def unreadable(error: OSError) -> None:
        report(f"{error.filename} cannot be listed ({error.strerror}). Check its permissions with `ls -ld`")

    is_new(str(root))
    for folder, folders, names in os.walk(root, onerror=unreadable, followlinks=True):
        base = Path(folder)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and is_new(str(base / name)))
        yield from (base / name for name in sorted(names) if not name.startswith("."))
