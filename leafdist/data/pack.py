"""The pack: every photo of a split decoded and resized once, one uint8 array on disk. A cache: checked before each use.

`<split>-<side>-<root>-<stamp>.u8` holds the rows, a .json of that name what they were made from and a checksum per
block. Data sets may share a cache folder.
"""

import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir

import numpy as np
from numpy.typing import NDArray

from leafdist.data.cache import Say, alone, is_readable, is_usable, new_file, prune, read_header, write_header
from leafdist.data.decode import DECODER, LIMIT, Fit, decode
from leafdist.data.index import Index
from leafdist.system import console, signals
from leafdist.system import processes as children

FORMAT = 2
BLOCK = 128  # rows per task and per checksum
PACK = re.compile(r"(.+)-(\w+)-[0-9a-f]{8}-([0-9a-f]{8})")  # how the two files of a pack are named
BESIDE = ".leafdist"  # the folder of packs in that of the data


@dataclass(frozen=True)
class PackHeader:
    """What a pack was made from (folder: the stamp of its photos), and the CRC-32 of each block of rows."""

    format: int = 0
    photos: int = 0
    side: int = 0
    fit: str = ""
    decoder: str = ""
    folder: str = ""
    checksums: tuple[int, ...] = ()

    def differences(self, other: "PackHeader") -> list[str]:
        """Name the fields, checksums aside, that differ."""
        names = [field.name for field in fields(self) if field.name != "checksums"]
        return [name for name in names if getattr(self, name) != getattr(other, name)]


def cache_folder(root: Path, cache: str | None) -> Path:
    """Return the folder of packs: `cache`, or beside the data, or the user's cache folder for read-only data."""
    if cache:
        return Path(cache)
    if is_usable(root / BESIDE):
        return root / BESIDE
    return user_cache() / sha256(os.fsencode(root.resolve())).hexdigest()[:16]


def user_cache() -> Path:
    """Return the user's cache folder for leafdist."""
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a container's user without $HOME and without an entry in /etc/passwd
        home = Path(gettempdir()) / f"leafdist-{os.geteuid()}"
    return home / "leafdist"


def ensure_pack(
    index: Index,
    side: int,
    folder: Path,
    workers: int,
    say: Say = print,
    *,
    fit: Fit = "stretch",
    max_pixels: int = LIMIT,
    filter_: str = "bilinear",
) -> Path:
    """Return the pack of `index` in `folder`, checked; built when missing, stale or damaged. Safe between processes.

    A valid pack beside the data is used instead: its owner may have put it there for those who can only read. Raises
    ValueError.
    """
    if side < 1:
        raise ValueError(f"a side of {side} pixels: must be at least 1")
    name = family(index.folder, side, fit, filter_)
    path = folder / f"{name}-{index.stamp[:8]}.u8"
    beside = [above / BESIDE / path.name for above in (index.folder.parent, index.folder)]
    for made in dict.fromkeys((path, *beside)):  # nobody's lock is needed to read
        if is_readable(made) and check(made, index, side, fit, filter_) is None:
            return made
    try:
        with alone(folder, name, say):
            if fault := check(path, index, side, fit, filter_):
                say(f"packing {len(index)} photos of {index.folder} into {path} ({fault})")
                prune(folder, name)
                build(path, index, side, workers, fit, max_pixels=max_pixels, filter_=filter_)
    except children.HelperKilledError as error:
        raise ValueError(f"{index.folder} cannot be packed: {error}. Ask for more memory or fewer cores") from error
    except OSError as error:
        raise ValueError(f"{folder}: no pack fits there ({error}). Name another folder with data.cache") from error
    return path


def family(folder: Path, side: int | str, fit: Fit = "stretch", filter_: str = "bilinear") -> str:
    """Return how the names of all packs of the split `folder` begin, whatever photos it held."""
    kind = f"{side}{fit.removeprefix('stretch')}{filter_.removeprefix('bilinear')}"
    return f"{folder.name}-{kind}-{sha256(os.fsencode(folder.resolve())).hexdigest()[:8]}"


def check(path: Path, index: Index, side: int, fit: Fit = "stretch", filter_: str = "bilinear") -> str | None:
    """Return what is wrong with the pack, or None. Reads all of it once, which also fills the page cache."""
    return find_fault(path, _header(index, side, fit, filter_), side * side * 3)


def find_fault(path: Path, wanted: PackHeader, row: int) -> str | None:
    """Return what is wrong with a file of rows of `row` bytes that is to be of what `wanted` says, or None."""
    header_path = path.with_suffix(".json")
    if not os.access(header_path, os.F_OK):
        return "there is none yet"
    header = read_header(PackHeader, header_path)
    if header is None:
        return "its header is damaged, or closed to this user"
    if stale := wanted.differences(header):
        return f"other than before: {', '.join(stale)}"
    size = wanted.photos * row
    if not is_readable(path) or path.stat().st_size != size:
        return f"its data is not {size} bytes"
    if tuple(_checksums(path, row)) != header.checksums:
        return "its data is damaged"
    return None


def build(
    path: Path,
    index: Index,
    side: int,
    workers: int,
    fit: Fit = "stretch",
    *,
    max_pixels: int = LIMIT,
    filter_: str = "bilinear",
) -> None:
    """Decode all photos in `workers` processes, each of which writes its own rows; the header comes last."""
    work = partial(decode, side=side, fit=fit, max_pixels=max_pixels, filter_=filter_)
    write_rows(path, index, work, _header(index, side, fit, filter_), row=side * side * 3, workers=workers)


def write_rows(
    path: Path,
    index: Index,
    work: Callable[[str], NDArray[np.uint8]],
    header: PackHeader,
    *,
    row: int,
    workers: int,
    doing: str = "packing",
) -> None:
    """Write a file of `work(photo)` for each photo of `index`, of `row` bytes each, as `build` does."""
    path.with_suffix(".json").unlink(missing_ok=True)
    with new_file(path) as temporary:
        with temporary.open("wb") as file:
            file.truncate(len(index) * row)
        starts = range(0, len(index), BLOCK)
        folder = str(index.folder)
        tasks = [(temporary, start * row, folder, index.names[start : start + BLOCK]) for start in starts]
        checksums = [0] * len(tasks)
        with console.bar(len(index), "photo", f"{doing} {index.folder.name}") as bar:
            for block, checksum in children.share_out(partial(_write_block, work=work), tasks, workers):
                checksums[block] = checksum
                bar.update(len(tasks[block][-1]))
    write_header(path.with_suffix(".json"), replace(header, checksums=tuple(checksums)))


def _header(index: Index, side: int, fit: Fit, filter_: str) -> PackHeader:
    return PackHeader(FORMAT, len(index), side, fit, DECODER.format(filter_), index.stamp)


def _write_block(task: tuple[Path, int, str, Sequence[str]], work: Callable[[str], NDArray[np.uint8]]) -> int:
    path, start, folder, names = task
    rows = []
    for name in names:
        signals.check()  # only in the process that was asked to stop: its helpers never see a signal
        rows.append(work(f"{folder}/{name}"))
    block = np.stack(rows)
    with path.open("r+b") as file:
        file.seek(start)
        file.write(block.data)
    return zlib.crc32(block.data)


def _checksums(path: Path, row: int) -> Iterator[int]:
    with path.open("rb") as file:
        while block := file.read(BLOCK * row):
            yield zlib.crc32(block)
