"""Caches of packs and indexes: made by one process at a time, each new one instead of the older ones of its family.

The file that describes a cache is written last: it is what makes the cache exist.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

from leafdist.system import files, locks, plain

Say = Callable[[str], None]
Record = TypeVar("Record")


def alone(folder: Path, family: str, say: Say) -> AbstractContextManager[None]:
    """Let one process at a time work on the files `family`-* in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    return locks.alone(folder / f".{family}.lock", say)


def prune(folder: Path, family: str) -> None:
    """Remove the older files of a family, and what a killed process left of them; a job may keep one mapped.

    Only names that we write: a copy that somebody keeps beside them is not ours.
    """
    name = rf"{re.escape(family)}-[0-9a-f]{{8}}\.(u8|json|names|facts)"
    ours = re.compile(rf"{name}|{files.temporary_of(name)}")
    for old in filter(lambda path: ours.fullmatch(path.name), list(folder.iterdir())):
        old.unlink()


def read_header(kind: type[Record], path: Path) -> Record | None:
    """Read what describes a cache; None where that is damaged, since a cache can be made again."""
    try:
        return plain.read(kind, path)
    except ValueError:
        return None
