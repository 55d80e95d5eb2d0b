"""Finds photos that cannot be decoded by decoding each once, so that no rank meets one in mid-epoch.

Training leaves them out, so that it sees the same photos on any number of processes; evaluation counts them as wrong.
"""

import os
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np

from leafdist.config.schema import DataConfig
from leafdist.data.cache import Say, alone, is_readable, write_header
from leafdist.data.decode import DECODER, LIMIT, decode
from leafdist.data.index import NEEDED, Index, SetAside
from leafdist.system import console, files, signals
from leafdist.system import processes as children
from leafdist.system.errors import UnopenedPhotoError, UnreadablePhotoError

BLOCK = 256  # photos per task


def screen(index: Index, data: DataConfig, cache: Path, workers: int, say: Say = print) -> Index:
    """Return the index as `data.on_corrupt` wants it: whole, or as `set_bad_aside` leaves it. Raises ValueError."""
    return index if data.on_corrupt == "error" else set_bad_aside(index, cache, workers, say, data.max_pixels)


def set_bad_aside(index: Index, cache: Path, workers: int, say: Say = print, max_pixels: int = LIMIT) -> Index:
    """Move photos that cannot be decoded into the `set_aside` of the index; the finding is kept in `cache`.

    Raises ValueError where a class of train or val would have no photo left, or no photo is left at all.
    """
    key = sha256(os.fsencode(f"{index.folder.resolve()} {index.stamp} {DECODER} {max_pixels}")).hexdigest()[:16]
    path = cache / f"{index.folder.name}-{key}.unreadable"
    bad = _kept(path)
    if bad is None:
        say(f"decoding {len(index)} photos of {index.folder} once, to set aside what cannot be read")
        bad = find_bad(index, workers, max_pixels)
        try:
            with alone(cache, path.stem, say):
                write_header(path, bad)
        except OSError as error:
            say(f"{path}: not kept ({error}); the next job decodes them again")
    return _without(index, bad) if bad else index


def _kept(path: Path) -> dict[int, str] | None:
    try:
        return {int(row): str(reason) for row, reason in files.read_json(path).items()} if is_readable(path) else None
    except ValueError:  # damaged: it is made again
        return None


def find_bad(index: Index, workers: int, max_pixels: int = LIMIT) -> dict[int, str]:
    """Return the index of each photo that cannot be decoded, with the reason."""
    starts = range(0, len(index), BLOCK)
    tasks = [(start, [index.folder / name for name in index.names[start : start + BLOCK]]) for start in starts]
    bad: dict[int, str] = {}
    with console.bar(len(index), "photo", f"looking at {index.folder.name}") as bar:
        for task, found in children.share_out(partial(_try, max_pixels=max_pixels), tasks, workers):
            bad |= found
            bar.update(len(tasks[task][1]))
    return dict(sorted(bad.items()))


def _try(task: tuple[int, list[Path]], max_pixels: int) -> dict[int, str]:
    start, photos = task
    bad = {}
    for row, photo in enumerate(photos, start):
        signals.check()
        try:
            decode(photo, 8, max_pixels=max_pixels)
        except UnopenedPhotoError:  # the disk or the network failed: nothing to keep
            raise
        except UnreadablePhotoError as error:
            bad[row] = str(error)
    return bad


def _without(index: Index, bad: dict[int, str]) -> Index:
    aside = tuple(SetAside(index.names[row], int(index.labels[row]), reason) for row, reason in bad.items())
    names = index.names.without(sorted(bad))
    labels = np.delete(index.labels, list(bad))
    lost = [photo for photo in aside if photo.label not in labels]
    if lost and (index.folder.name in NEEDED or not len(labels)):  # elsewhere they count as wrong
        folder = index.folder / index.classes[lost[0].label]
        raise ValueError(f"{folder}: none of its photos can be decoded. {lost[0].reason}")
    digest, stamp = (_with(value, aside) for value in (index.digest, index.stamp))
    return replace(index, names=names, labels=labels, digest=digest, stamp=stamp, set_aside=aside)


def _with(digest: str, aside: tuple[SetAside, ...]) -> str:
    return sha256("\n".join([digest, *(photo.name for photo in aside)]).encode("utf-8", "surrogateescape")).hexdigest()
