"""The index of a split, kept between jobs: a requeued one looks at the folders and at some photos, not at each.

In the cache folder, beside the packs: `index-<split>-<root>-<stamp>.names` and `.facts`, and a .json of the same family
that is written last. A class folder's own time tells that a photo came, went or was renamed; one that was overwritten
in place is noticed when it is among the SAMPLE that is looked at, which is all of a smaller data set.
"""

import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leafdist.data.index import THREADS, Index, check_classes, labels_of, scan, scan_facts
from leafdist.data.names import Names
from leafdist.system import files, locks

FORMAT = 1
SAMPLE = 50_000  # photos whose size and time are compared, evenly spread: about a second on a local disk
CHUNK = 500  # of them by one thread
FRESH = 2.0  # seconds: a folder changed so lately may change again without its time showing it
FOREVER = -1


def open_index(
    root: Path, split: str, classes: Sequence[str] | None, cache: Path, say: Callable[[str], None] = print
) -> Index:
    """As `scan` has it, from what was kept in `cache` where that still holds. Raises ValueError as `scan` does."""
    folder, known = check_classes(root, split, classes)
    header = cache / f"index-{split}-{sha256(str(folder.resolve()).encode()).hexdigest()[:8]}.index"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = locks.hold(header.with_name(f".{header.stem}.lock"), FOREVER, say)
    except OSError as error:
        say(f"{cache}: the index is not kept ({error}); the next job scans {folder} again")
        return scan(root, split, known)
    try:
        return _load(header, folder, known) or _scan_and_keep(header, root, split, known)
    except OSError as error:
        say(f"{header}: the index is not kept ({error}); the next job scans {folder} again")
        return scan(root, split, known)
    finally:
        lock.release()


def at_hand(index: Index) -> Index:
    """The index, scanned again on a node that does not see where it was kept. Raises ValueError if it differs there."""
    if index.names.here:
        return index
    found = scan(index.folder.parent, index.folder.name, index.classes)
    if found.digest != index.digest:
        raise ValueError(f"{index.folder} holds other photos on this node than on the first: it must be one data set")
    return found


def _times(folder: Path, classes: Sequence[str]) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in sorted(classes)}


def _scan_and_keep(header: Path, root: Path, split: str, classes: Sequence[str]) -> Index:
    times = _times(root / split, classes)
    index, facts = scan_facts(root, split, classes)
    if max(times.values()) > time.time_ns() - FRESH * 1e9:
        return index
    family = f"{header.stem}-{index.stamp[:8]}"
    names, numbers = header.with_name(f"{family}.names"), header.with_name(f"{family}.facts")
    header.unlink(missing_ok=True)
    for old in [*header.parent.glob(f"{header.stem}-*"), *header.parent.glob(f".{header.stem}-*.tmp")]:
        old.unlink()  # a job that has it mapped keeps it
    with files.atomic_path(names) as temporary:
        index.names.write(temporary)
    with files.atomic_path(numbers) as temporary:
        facts.tofile(temporary)
    counts = {"counts": index.names.counts, "times": times, "classes": list(classes)}
    checksums = {path.name: _checksum(path) for path in (names, numbers)}
    digests = {"digest": index.digest, "stamp": index.stamp}
    files.write_json(header, {"format": FORMAT, "files": checksums} | counts | digests)
    return _index(index.folder, classes, files.read_json(header), names)


def _load(header: Path, folder: Path, classes: Sequence[str]) -> Index | None:
    """What was kept, or None where it is not whole or no longer holds."""
    try:
        kept = dict(files.read_json(header)) if header.exists() else {}
    except (ValueError, TypeError):  # half a header: scanned again
        return None
    if kept.get("format") != FORMAT or kept["classes"] != list(classes) or kept["times"] != _times(folder, classes):
        return None
    names, numbers = (header.with_name(name) for name in kept["files"])
    for path in (names, numbers):
        if not path.exists() or _checksum(path) != kept["files"][path.name]:
            return None
    index = _index(folder, classes, kept, names)
    facts = np.memmap(numbers, np.int64, "r", shape=(len(index), 2))
    return index if _same(index, facts) else None


def _index(folder: Path, classes: Sequence[str], kept: dict[str, Any], path: Path) -> Index:
    names = Names.mapped(kept["counts"], path)
    return Index(folder, tuple(classes), names, labels_of(classes, names), kept["digest"], kept["stamp"])


def _same(index: Index, facts: NDArray[np.int64]) -> bool:
    """Whether photos of a sample have the size and time that they had. Over a network each answer is waited for."""

    def unchanged(places: range) -> bool:
        for place in places:
            try:
                status = (index.folder / index.names[place]).stat()
            except FileNotFoundError:
                return False
            if (status.st_size, status.st_mtime_ns) != tuple(facts[place]):
                return False
        return True

    sample = range(0, len(index), -(-len(index) // SAMPLE))
    with ThreadPoolExecutor(THREADS) as pool:
        return all(pool.map(unchanged, [sample[start : start + CHUNK] for start in range(0, len(sample), CHUNK)]))


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            value = zlib.crc32(block, value)
    return value
