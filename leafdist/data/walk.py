"""Finds photos without labels: files by name, and everything below folders."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from PIL import Image


def photos_below(paths: Iterable[Path], report: Callable[[str], None]) -> Iterator[Path]:
    """Yield each file of `paths`, and below each folder all that PIL reads, by name; links are followed.

    A named file is given whatever its suffix; hidden files in folders are not. Folders that cannot be listed or hold no
    photo go to `report`.
    """
    suffixes = openable()
    for start in paths:
        if not start.is_dir():
            yield start
            continue
        empty = True
        for path in _walk(start, report):
            if path.suffix.lower() in suffixes:
                empty = False
                yield path
        if empty:
            report(f"{start} holds no photo, nor do its sub-folders")


def openable() -> set[str]:
    """Return the suffixes that PIL opens, in lower case."""
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
