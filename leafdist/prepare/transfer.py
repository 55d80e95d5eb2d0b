"""Puts photos into a folder as copies or links."""

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

Mode = Literal["copy", "hardlink", "symlink"]
WITHOUT = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)  # no hard link here


def transfer(pairs: Iterable[tuple[Path, Path]], mode: Mode) -> None:
    """Put each source at its target, whose folder exists.

    A copy has the content only, not the permissions; a symlink names the absolute path of the source and breaks when
    that moves. Raises ValueError where no hard link can be made, OSError for other failures.
    """
    way: dict[str, Callable[[Path, Path], object]] = {"copy": shutil.copyfile, "hardlink": _link, "symlink": _point}
    with ThreadPoolExecutor(8) as pool:  # waits overlap on network file systems
        for _ in pool.map(lambda pair: way[mode](*pair), pairs):
            pass  # raises what a thread raised


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)  # of a symlink, what it leads to
    except OSError as error:
        if error.errno not in WITHOUT:
            raise
        raise ValueError(
            f"{target}: no hard link to {source} ({error.strerror}): both must be of this user and on one file system "
            "that has links. Use --mode copy or symlink"
        ) from error


def _point(source: Path, target: Path) -> None:
    target.symlink_to(source.resolve())
