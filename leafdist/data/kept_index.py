"""The index of a split, kept between jobs: a requeued job checks the folders and some photos, not each one.

In the cache folder, beside the packs: `index-<split>-<root>-<stamp>.names` and `.facts`, and the header
`index-<split>-<root>.index`. The time of a class folder tells that a photo was added, removed or renamed; one that was
overwritten is noticed if it is in the sample that is checked, which is all of a smaller data set.
"""

import os
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.data.cache import Say, alone, is_readable, new_file, prune, read_header, write_header
from leafdist.data.index import THREADS, Index, check_classes, labels_of, scan, scan_facts
from leafdist.data.names import Names
from leafdist.data.relabel import obey_labels

FORMAT = 2
SAMPLE = 50_000  # photos whose size and time are compared, evenly spread: about a second on a local disk
CHUNK = 500  # photos per task of a thread
FRESH = 2.0  # seconds: a folder changed so recently may change again without a new time


@dataclass(frozen=True)
class KeptIndex:
    """files: their CRC-32 by name; counts: photos per class; times: of the class folders, in ns; passed_over:
    other files by kind.
    """

    format: int
    files: dict[str, int]
    counts: dict[str, int]
    times: dict[str, int]
    classes: list[str]
    digest: str
    stamp: str
    passed_over: dict[str, int]


def open_index(root: Path, split: str, classes: Sequence[str] | None, cache: Path, say: Say = print) -> Index:
    """Return what `scan` would, from `cache` where that is still true. Raises ValueError as `scan` does."""
    folder, known = check_classes(root, split, classes)
    header = cache / f"index-{split}-{sha256(os.fsencode(folder.resolve())).hexdigest()[:8]}.index"
    try:
        with alone(cache, header.stem, say):
            index = _load(header, folder, known) or _scan_and_keep(header, root, split, known)
    except OSError as error:
        say(f"{header}: the index is not kept ({error}); the next job scans {folder} again")
        index = scan_facts(root, split, known)[0]
    return obey_labels(index, say)  # after all that is kept, since a person may change them at any time


def at_hand(index: Index) -> Index:
    """Scan again on a node that does not see where the index was kept. Raises ValueError if it differs there."""
    if index.names.here:
        return index
    found = scan(index.folder.parent, index.folder.name, index.classes)
    if found.digest != index.digest:
        raise ValueError(f"{index.folder} holds other photos on this node than on the first: it must be one data set")
    return found


def _times(folder: Path, classes: Sequence[str]) -> dict[str, int]:
    paths = {name: folder / name for name in sorted(classes)}
    return {name: path.stat().st_mtime_ns if path.exists() else 0 for name, path in paths.items()}


def _scan_and_keep(header: Path, root: Path, split: str, classes: Sequence[str]) -> Index:
    times = _times(root / split, classes)
    index, facts = scan_facts(root, split, classes)
    if max(times.values()) > time.time_ns() - FRESH * 1e9:
        return index
    family = f"{header.stem}-{index.stamp[:8]}"
    names, numbers = header.with_name(f"{family}.names"), header.with_name(f"{family}.facts")
    header.unlink(missing_ok=True)
    prune(header.parent, header.stem)
    with new_file(names) as temporary:
        index.names.write(temporary)
    with new_file(numbers) as temporary:
        facts.tofile(temporary)
    checksums = {path.name: _checksum(path) for path in (names, numbers)}
    found = (index.digest, index.stamp, index.passed_over)
    kept = KeptIndex(FORMAT, checksums, index.names.counts, times, list(classes), *found)
    write_header(header, kept)
    return _index(index.folder, kept, names)


def _load(header: Path, folder: Path, classes: Sequence[str]) -> Index | None:
    """Return what was kept, or None where it is damaged or no longer true."""
    kept = read_header(KeptIndex, header)
    if kept is None or kept.format != FORMAT or kept.classes != list(classes) or kept.times != _times(folder, classes):
        return None
    names, numbers = (header.with_name(name) for name in kept.files)
    for path in (names, numbers):
        if not is_readable(path) or _checksum(path) != kept.files[path.name]:
            return None
    index = _index(folder, kept, names)
    facts = np.memmap(numbers, np.int64, "r", shape=(len(index), 2))
    return index if _same(index, facts) else None


def _index(folder: Path, kept: KeptIndex, path: Path) -> Index:
    names = Names.mapped(kept.counts, path)
    labels = labels_of(kept.classes, names)
    return Index(folder, tuple(kept.classes), names, labels, kept.digest, kept.stamp, (), kept.passed_over)


def _same(index: Index, facts: NDArray[np.int64]) -> bool:
    """Whether a sample of the photos still has its size and time, in threads: a network folder answers slowly."""

    def unchanged(photos: range) -> bool:
        for photo in photos:
            try:
                status = (index.folder / index.names[photo]).stat()
            except FileNotFoundError:
                return False
            if (status.st_size, status.st_mtime_ns) != tuple(facts[photo]):
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
