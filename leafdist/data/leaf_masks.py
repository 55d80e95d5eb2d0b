"""Masks of leaves, kept as packs are and made by `leafdist masks`: which pixels of each photo are leaf."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leafdist.config.schema import DataConfig
from leafdist.data.cache import is_readable, read_header
from leafdist.data.index import Index, scan
from leafdist.data.pack import BESIDE, BLOCK, PackHeader, cache_folder, family, find_fault
from leafdist.data.source import LEAF, RowsOfMasks
from leafdist.system import console, files

FORMAT = 1
METHOD = "table's colour, GrabCut"  # how masks are made; another way, another name


def mask_header(index: Index, data: DataConfig) -> PackHeader:
    """Return what masks must have been made from: photos of the same names, sizes and labels, `resize`, `fit`."""
    return PackHeader(FORMAT, len(index), int(data.resize), data.fit, METHOD, index.digest)


def mask_family(index: Index, data: DataConfig) -> str:
    """Return how the names of all masks of a split begin, whatever photos it held."""
    return family(index.folder, f"masks{int(data.resize)}", data.fit)


def mask_path(index: Index, data: DataConfig, folder: Path) -> Path:
    """Return where masks lie in the folder of packs."""
    return folder / f"{mask_family(index, data)}-{index.digest[:8]}.u8"


def mask_fault(path: Path, index: Index, data: DataConfig) -> str | None:
    """Return what is wrong with the masks, or None. Reads all of them."""
    return find_fault(path, mask_header(index, data), int(data.resize) ** 2)


def find_masks(index: Index, data: DataConfig) -> Path:
    """Return the file of the masks of a split's photos, checked. Raises ValueError, with the command that makes it."""
    root = index.folder.parent
    path = mask_path(index, data, cache_folder(root, data.cache))
    faults = list[str]()
    for made in dict.fromkeys((path, root / BESIDE / path.name)):
        fault = mask_fault(made, index, data)
        if fault is None:
            return made
        faults.append(fault)
    cache = ("--cache", data.cache) if data.cache else ()
    fit = ("--fit", data.fit) if data.fit != DataConfig.fit else ()
    bad = ("--on-corrupt", "quarantine") if data.on_corrupt == "quarantine" else ()
    limit = ("--max-pixels", data.max_pixels) if data.max_pixels != DataConfig.max_pixels else ()
    command = console.command("leafdist", "masks", root, "--resize", data.resize, *fit, *cache, *bad, *limit)
    older = [other for other in path.parent.glob(f"{mask_family(index, data)}-*.json") if is_readable(other)]
    why = "those there are of other photos" if older and not path.exists() else faults[0]
    raise ValueError(f"no masks of the leaves in {index.folder} at {data.resize} pixels ({why}). Run `{command}`")


def masks_beside(root: Path, split: str) -> tuple[Index, RowsOfMasks] | None:
    """Return the masks of whole photos in `root/split`, those of most pixels, or None where there are none of these."""
    beside = cache_folder(root, None).glob(f"{family(root / split, 'masks*')}-*.json")
    headers = [header for path in beside if (header := read_header(PackHeader, path))]
    sides = [header.side for header in headers if header.fit == DataConfig.fit]
    if not sides:
        return None
    try:
        index = scan(root, split)
        path = find_masks(index, DataConfig(root=str(root), resize=max(sides)))
        return index, RowsOfMasks(path, len(index), max(sides))
    except ValueError:  # other photos by now, or such as cannot be trained on: none of the masks is theirs
        return None


def digest_of(path: Path) -> str:
    """Return the digest of a file of masks, by the checksums in its header."""
    return files.sha256(path.with_suffix(".json"))


def trusted(masks: RowsOfMasks) -> NDArray[np.bool_]:
    """Whether each photo has a mask that is to be trusted, (n,): without one it is leaf throughout."""
    starts = range(0, masks.photos, BLOCK)
    blocks = [masks.read(np.arange(start, min(start + BLOCK, masks.photos))) for start in starts]
    return np.concatenate([(block < LEAF).any((1, 2)) for block in blocks])
