"""Photos for what is behind leaves, `augment.background_folder`: found at any depth, packed once, drawn by the plan."""

import hashlib
import os
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from leafdist.config.schema import Config
from leafdist.data.cache import Say
from leafdist.data.index import Index
from leafdist.data.loader import moved
from leafdist.data.names import Names
from leafdist.data.open import check_here
from leafdist.data.pack import cache_folder, ensure_pack
from leafdist.data.quarantine import screen
from leafdist.data.stage import stage_pack
from leafdist.data.walk import photos_below
from leafdist.distributed.memory import memory_for
from leafdist.distributed.runtime import Runtime

CPU = torch.device("cpu")


def open_backgrounds(config: Config, runtime: Runtime) -> tuple[Tensor | None, str | None]:
    """Return the photos of the folder (n,side,side,3) uint8 on the device, and the digest of their names and sizes.

    None each where there is no folder. Raises ValueError as `find_backgrounds` does.
    """
    if config.augment.background_folder is None:
        return None, None
    cpus = runtime.cpus * runtime.local_world
    index = runtime.once(lambda: find_backgrounds(config, cpus, runtime.say))
    path = runtime.once_per_node(lambda: pack_backgrounds(config, index, cpus, runtime.say))
    check_here([path], runtime)
    return runtime.everywhere(lambda: rows_of(path, len(index), int(config.data.resize), runtime.device)), index.digest


def find_backgrounds(config: Config, workers: int, say: Say = print) -> Index:
    """List the photos in and below the folder, named by their paths in it, which make the digest: it may be moved.

    Raises ValueError where it is no folder, holds no photo, or has a part that cannot be listed; with
    data.on_corrupt=quarantine also where no photo can be read.
    """
    folder, setting = Path(str(config.augment.background_folder)), "augment.background_folder"

    def refuse(reason: str) -> None:
        raise ValueError(f"{setting}={folder}: {reason}. Name a folder of photos, or leave it null for drawn textures")

    if not folder.is_dir():
        refuse("there is no such folder")
    inside: dict[str, list[bytes]] = {}
    for path in sorted(photo.relative_to(folder) for photo in photos_below([folder], refuse)):
        inside.setdefault(str(path.parent), []).append(os.fsencode(path.name))
    names, digest, stamp = Names.of(inside), hashlib.sha256(), hashlib.sha256()
    for name in names:
        status = (folder / name).stat()
        line = b"%s\t%d" % (os.fsencode(name), status.st_size)
        digest.update(line + b"\n")
        stamp.update(line + b"\t%d\n" % status.st_mtime_ns)
    labels = np.zeros(len(names), np.int16)  # all of one class without a name
    index = Index(folder, ("",), names, labels, digest.hexdigest(), stamp.hexdigest())
    return screen(index, config.data, cache_folder(folder, config.data.cache), workers, say)


def pack_backgrounds(config: Config, index: Index, workers: int, say: Say = print) -> Path:
    """Decode them once, as photos of train are, into a pack in their folder or `data.cache`. Raises ValueError."""
    data = config.data
    make = partial(stage_pack if data.stage else ensure_pack, say=say, fit=data.fit, max_pixels=data.max_pixels)
    folder = cache_folder(index.folder, data.cache)
    return make(index, int(data.resize), folder, workers, filter_=data.interpolation)


def rows_of(path: Path, photos: int, side: int, device: torch.device = CPU) -> Tensor:
    """Map a pack, whose pages all processes of a node share; a GPU gets a copy. Raises OSError where it has no room."""
    rows = np.memmap(path, np.uint8, "c", shape=(photos, side, side, 3))  # torch warns of what cannot be written to
    if device.type == "cpu":
        return torch.from_numpy(rows)
    with memory_for("for the photos of augment.background_folder", "Put fewer into it", resident=False):
        return moved(rows, device)
