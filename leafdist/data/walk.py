"""Finds photos without labels: named files, and everything below folders."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from leafdist.data.photos import PHOTO, kind_of


def photos_below(
    paths: Iterable[Path], report: Callable[[str], None], passed_over: Counter[str] | None = None
) -> Iterator[Path]:
    """Yield each file of `paths`, and below each folder all photos; links are followed.

    A named file is given whatever it holds. Folders that cannot be listed or hold no photo go to `report`; other files
    in folders are counted in `passed_over`, by kind.
    """
    others = Counter[str]() if passed_over is None else passed_over
    for start in paths:
        if not os.path.isdir(start):  # noqa: PTH112 - false for whatever fails: decoding says why
            yield start
            continue
        empty = True
        for path in _walk(start, report):
            try:
                kind = kind_of(path)
            except OSError:
                kind = PHOTO  # decoding says why it cannot be read
            if kind == PHOTO:
                empty = False
                yield path
            else:
                others[kind] += 1
        if empty:
            report(f"{start} holds no photo, nor do its sub-folders")


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
        yield from (base / name for name in sorted(names))
