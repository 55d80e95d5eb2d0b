"""Caches of packs and indexes: made by one process at a time; each new one replaces the older ones of its family.

The file that describes a cache is written last: it is what makes the cache exist.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeVar

from leafdist.system import files, locks, plain

Say = Callable[[str], None]
Record = TypeVar("Record")


def is_usable(folder: Path) -> bool:
    """Whether this user may make, replace and remove caches in `folder`, which others may share, or make the folder."""
    if not os.access(folder, os.F_OK):
        return os.access(folder.parent, os.W_OK | os.X_OK)
    status = folder.stat()
    may_remove = not status.st_mode & stat.S_ISVTX or status.st_uid == os.geteuid()
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK) and may_remove


def is_readable(path: Path) -> bool:
    """Whether the file exists and this user may read it; a closed file counts as missing."""
    return os.access(path, os.R_OK)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a temporary name for a file that whoever may read its folder may read, whatever the umask."""
    with files.atomic_path(path) as temporary:
        yield temporary
        temporary.chmod(0o600 | path.parent.stat().st_mode & 0o044)


def write_header(path: Path, record: object) -> None:
    """Write what describes a cache, and so makes it exist."""
    with new_file(path) as temporary:
        temporary.write_text(json.dumps(plain.to_plain(record), indent=2, ensure_ascii=False) + "\n", **files.TEXT)


def alone(folder: Path, family: str, say: Say) -> AbstractContextManager[None]:
    """Let one process at a time work on the files `family`-* in `folder`."""
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        above = folder.parent.stat().st_mode  # below a sticky one, such as /tmp, nobody else may write
        folder.chmod(folder.stat().st_mode | above & (0o55 if above & stat.S_ISVTX else 0o77))
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
    """Read what describes a cache; None where there is none, or a damaged one, since a cache can be made again."""
    if not is_readable(path):
        return None
    try:
        return plain.read(kind, path)
    except ValueError:
        return None
