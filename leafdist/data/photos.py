"""The one rule for what is a photo and what is a class."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm"})  # in any case

SPLITS = ("train", "val", "test")
CLUTTER = frozenset({"__macosx", "@eadir", "lost+found", "$recycle.bin", "system volume information"})  # of systems
UNFINISHED = ".split-unfinished"  # in the destination of a split while photos are copied


def check_finished(root: Path) -> None:
    """Raises ValueError where the split into `root`, or into the folder of its folds, was interrupted."""
    for folder in (root, root.parent):
        if (folder / UNFINISHED).exists():
            raise ValueError(f"{folder} is an unfinished split: run the same `leafdist split` again, it starts over")


def list_images(folder: Path) -> tuple[list[os.DirEntry[str]], int]:
    """List the photos of a folder, sorted by name, and count the other entries.

    Skipped are hidden files, files that are no images by their name, sub-folders and broken links. Raises ValueError
    where the folder cannot be read.
    """
    with _readable(folder), os.scandir(folder) as entries:
        every = list(entries)
        photos = [entry for entry in every if _is_image(entry)]
    return sorted(photos, key=lambda entry: entry.name), len(every) - len(photos)


def list_classes(root: Path) -> list[str]:
    """List the class folders in `root`, all that are plain, sorted. Raises ValueError where there is none."""
    with _readable(root), os.scandir(root) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and is_plain(entry.name))
    if not names:
        raise ValueError(f"{root} holds no class folder: photos lie in one folder per class. {_WAY_OUT}")
    return names


def below_single_folders(root: Path) -> Path:
    """Descend from `root` through folders that hold a single folder, as unpacked archives do.

    Stops above a folder of photos or a part of a split. Raises ValueError where a folder cannot be read.
    """
    while True:
        inside = folders_in(root)
        if len(inside) != 1 or inside[0].name in SPLITS or not folders_in(inside[0]):
            return root
        root = inside[0]


def folders_in(root: Path) -> list[Path]:
    """List the folders in `root`, but for hidden ones and CLUTTER. Raises ValueError where it cannot be read."""
    with _readable(root):
        return sorted(path for path in root.iterdir() if path.is_dir() and is_plain(path.name))


def is_plain(name: str) -> bool:
    """Tell whether a folder of this name may hold photos: it is not hidden, nor does a system put it into archives."""
    return not name.startswith(".") and name.casefold() not in CLUTTER


_WAY_OUT = "Point to such a folder, or make one with `leafdist split RAW DEST` or `leafdist sample-data DEST`"


def _is_image(entry: os.DirEntry[str]) -> bool:
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 (a Path for each of 40,000 names is slow)
    return suffix in IMAGE_SUFFIXES and not entry.name.startswith(".") and entry.is_file()


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ValueError(
            f"{folder} does not exist: it must be a folder of photos, one folder per class. {_WAY_OUT}"
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(
            f"{folder} cannot be read ({reason}): it must be a folder that this user may list. "
            f"Check the path, and its permissions with `ls -ld`"
        ) from error
