"""The pack: every photo of a split decoded and resized once, one uint8 array on disk. A cache: never trusted unseen.

`<split>-<side>-<root>-<stamp>.u8` holds the rows, a .json of that name what they were made from and a checksum a block.
The header is written last: it is what makes a pack exist. Data sets may share a cache folder.
"""

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from leafdist.data.decode import DECODER, Fit, decode
from leafdist.data.index import Index
from leafdist.system import console, files, locks, signals
from leafdist.system import processes as children

FORMAT = 2
BLOCK = 128  # rows a task and a checksum
BESIDE = ".leafdist"  # the folder of packs in that of the data
FOREVER = -1  # a large data set takes as long as it takes


def cache_folder(root: Path, cache: str | None) -> Path:
    """Where packs live: `cache`, or beside the data, or in the user's cache folder when the data is read-only."""
    if cache:
        return Path(cache)
    if os.access(root, os.W_OK):
        return root / BESIDE
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "leafdist" / sha256(str(root.resolve()).encode()).hexdigest()[:16]


def ensure_pack(
    index: Index, side: int, folder: Path, workers: int, say: Callable[[str], None] = print, *, fit: Fit = "stretch"
) -> Path:
    """The pack of `index` in `folder`, checked; built when missing, stale or damaged. Safe between processes.

    One that lies beside the data is as good: somebody else may have put it there, for those who can only read.
    """
    if side < 1:
        raise ValueError(f"a side of {side} pixels: must be at least 1")
    name = family(index.folder, side, fit)
    path = folder / f"{name}-{index.stamp[:8]}.u8"
    beside = index.folder.parent / BESIDE / path.name
    if beside.parent != folder and beside.exists() and check(beside, index, side, fit) is None:
        return beside
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = locks.hold(folder / f".{name}.lock", FOREVER, say)
        try:
            fault = check(path, index, side, fit)
            if fault:
                say(f"packing {len(index)} photos of {index.folder} into {path} ({fault})")
                for old in [*folder.glob(f"{name}-*"), *folder.glob(f".{name}-*.tmp")]:
                    old.unlink()  # of the folder as it was; a job that has it mapped keeps it
                build(path, index, side, workers, fit)
        finally:
            lock.release()
    except children.HelperKilledError as error:
        raise ValueError(f"{index.folder} cannot be packed: {error}. Ask for more memory or fewer cores") from error
    except OSError as error:
        raise ValueError(f"{folder}: no pack fits there ({error}). Name another folder with data.cache") from error
    return path


def family(folder: Path, side: int | str, fit: Fit = "stretch") -> str:
    """What the names of all packs of `root/split` begin with, whatever photos it held."""
    kind = side if fit == "stretch" else f"{side}{fit}"
    return f"{folder.name}-{kind}-{sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def check(path: Path, index: Index, side: int, fit: Fit = "stretch") -> str | None:
    """What is wrong with the pack, or None. Reads it whole once, which also warms the page cache."""
    header_path = path.with_suffix(".json")
    if not header_path.exists():
        return "there is none yet"
    try:
        header = dict(files.read_json(header_path))
    except (ValueError, TypeError):
        return "its header is damaged"
    stale = [key for key, value in _header(index, side, fit).items() if header.get(key) != value]
    if stale:
        return f"other than before: {', '.join(stale)}"
    size = len(index) * side * side * 3
    if not path.exists() or path.stat().st_size != size:
        return f"its data is not {size} bytes"
    if list(_checksums(path, side)) != header.get("checksums"):
        return "its data is damaged"
    return None


def build(path: Path, index: Index, side: int, workers: int, fit: Fit = "stretch") -> None:
    """Decode all photos in parallel processes, each of which writes its own rows."""
    count, folder = len(index), str(index.folder)
    path.with_suffix(".json").unlink(missing_ok=True)
    with files.atomic_path(path) as temporary:
        with temporary.open("wb") as file:
            file.truncate(count * side * side * 3)
        starts = range(0, count, BLOCK)
        tasks = [(temporary, side, fit, start, folder, index.names[start : start + BLOCK]) for start in starts]
        checksums = [0] * len(tasks)
        with console.bar(count, "photo", f"packing {index.folder.name}") as bar:
            for place, checksum in children.share_out(_pack_block, tasks, workers):
                checksums[place] = checksum
                bar.update(len(tasks[place][-1]))
    files.write_json(path.with_suffix(".json"), _header(index, side, fit) | {"checksums": checksums})


def _header(index: Index, side: int, fit: Fit) -> dict[str, Any]:
    kind = {"side": side, "fit": fit, "decoder": DECODER}
    return {"format": FORMAT, "photos": len(index), **kind, "folder": index.stamp}


def _pack_block(task: tuple[Path, int, Fit, int, str, Sequence[str]]) -> int:
    path, side, fit, start, folder, names = task
    rows = np.empty((len(names), side, side, 3), np.uint8)
    for row, name in zip(rows, names, strict=True):
        signals.check()  # in the process that was asked to stop; its helpers never see a signal
        row[:] = decode(f"{folder}/{name}", side, fit)
    with path.open("r+b") as file:
        file.seek(start * side * side * 3)
        file.write(rows.data)
    return zlib.crc32(rows.data)


def _checksums(path: Path, side: int) -> Iterator[int]:
    with path.open("rb") as file:
        while block := file.read(BLOCK * side * side * 3):
            yield zlib.crc32(block)
