"""Marks and locks the folder of a split while it is filled, and clears what an interrupted split left there."""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from leafdist.data.photos import UNFINISHED
from leafdist.system.files import flush, temporary_of
from leafdist.system.locks import WITHOUT

OURS = re.compile(rf"train|val|test|fold-[0-9]+|{temporary_of('split.json')}")


@contextmanager
def unfinished(dest: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the marker while the split is made. Raises ValueError if `dest` holds anything but an interrupted split."""
    _check_vacant(dest)
    dest.mkdir(parents=True, exist_ok=True)
    marker = dest / UNFINISHED
    with marker.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{dest} is being written by another split. Wait for it, or name another folder"
            ) from error
        except OSError as error:
            if error.errno not in WITHOUT:
                raise
            say(f"warning: the file system of {dest} has no locks ({error}): make sure that no other split works there")
        if (dest / "split.json").exists():  # written last: the split is complete and was killed just after
            marker.unlink()
        _check_vacant(dest)  # the one before may have finished in between
        flush(marker)
        flush(dest)
        left = [path for path in dest.iterdir() if path != marker]
        if left:
            say(f"{dest}: a split was interrupted here; starting over")
        for path in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield
        marker.unlink()
        flush(dest)


def _check_vacant(dest: Path) -> None:
    found = set(os.listdir(dest)) if dest.exists() else set()  # noqa: PTH208 (names are all that is asked)
    ours = {name for name in found if OURS.fullmatch(name)} if UNFINISHED in found else set()
    if "split.json" in found and UNFINISHED not in found:
        raise ValueError(f"{dest} holds a finished split: remove it, or name another folder")
    foreign = sorted(found - ours - {UNFINISHED, "split.json"})
    if foreign:
        raise ValueError(
            f"{dest} is not empty ({foreign[0]}): a split needs a folder of its own. Remove it or name another"
        )
