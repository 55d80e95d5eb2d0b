"""The one rule for what is a photo and what is a class."""

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from leafdist.data.first_bytes import HEAD, photo_format

PHOTO = "photo"
# a file with such a name counts as a photo, so that an unreadable one is reported; all other files are opened
NAMES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"})
NAMES |= {".pbm", ".gif", ".avif", ".heic", ".heif"}
# of cameras: a TIFF by the first bytes, with a small preview that Pillow would take for the photo
RAW = frozenset(
    {".dng", ".cr2", ".nef", ".nrw", ".arw", ".sr2", ".pef", ".srw", ".3fr", ".erf", ".kdc", ".dcr", ".iiq"}
)
KINDS = {stat.S_IFDIR: "folder", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket"}
LOOKERS = 8  # files opened at a time: a network answers slowly

SPLITS = ("train", "val", "test")
CLUTTER = frozenset({"__macosx", "@eadir", "lost+found", "$recycle.bin", "system volume information"})  # of systems
UNFINISHED = ".split-unfinished"  # in the destination of a split while photos are copied


def check_finished(root: Path) -> None:
    """Raises ValueError where the split into `root`, or into the folder of its folds, was interrupted."""
    for folder in (root, root.parent):
        if (folder / UNFINISHED).exists():
            raise ValueError(f"{folder} is an unfinished split: run the same `leafdist split` again, it starts over")


def list_images(folder: Path) -> tuple[list[os.DirEntry[str]], Counter[str]]:
    """List the photos of a folder, sorted by name, and count what else is there, by kind.

    Raises ValueError where the folder cannot be read.
    """
    with _readable(folder), os.scandir(folder) as entries, ThreadPoolExecutor(LOOKERS) as pool:
        every = sorted(entries, key=lambda entry: entry.name)
        opened = [entry for entry in every if ending(entry.name) not in NAMES]
        kinds = dict(zip(opened, pool.map(kind_of, opened), strict=True))
        kinds |= {entry: kind_of(entry) for entry in every if entry not in kinds}
    photos = [entry for entry in every if kinds[entry] == PHOTO]
    return photos, Counter(kind for kind in kinds.values() if kind != PHOTO)


def kind_of(entry: os.DirEntry[str] | Path) -> str:
    """Tell whether an entry is a PHOTO, or else what it is; a file that has no photo's name is opened."""
    if entry.name.startswith("."):
        return "hidden"
    try:
        if not entry.is_file():
            return KINDS.get(stat.S_IFMT(os.stat(entry).st_mode), "device")  # noqa: PTH116 (a DirEntry has no other)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR):
            return "broken link"
        raise
    suffix = ending(entry.name)
    try:
        if suffix in NAMES or (suffix not in RAW and photo_format(first_bytes(entry))):
            return PHOTO
    except PermissionError:
        return "file without permission"
    return suffix if len(suffix) < 9 and suffix.isascii() and suffix[1:].isalnum() else "other file"


def ending(name: str) -> str:
    """Return what follows the last dot, with it and in lower case; of `x.jpg?w=300`, a saved address, `.jpg`."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 (a Path for each of 40,000 names is slow)
    return suffix if suffix in NAMES or "?" not in name else ending(name.partition("?")[0])


def first_bytes(path: os.PathLike[str] | str) -> bytes:
    """Read as much of a file as tells what it is."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (also of a DirEntry)
        return file.read(HEAD)


def in_words(kinds: Mapping[str, int]) -> str:
    """Return counts by kind, the most frequent first: `3 x .txt, 1 x FIFO`."""
    return ", ".join(f"{count} x {kind}" for kind, count in Counter(kinds).most_common())


def list_classes(root: Path) -> list[str]:
    """List the class folders in `root`, all that are plain, sorted. Raises ValueError where there is none."""
    names = [path.name for path in folders_in(root)]
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
    with _readable(root), os.scandir(root) as entries:  # an entry knows its kind without a stat for each photo
        return sorted(Path(entry) for entry in entries if is_plain(entry.name) and _is_folder(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return Path(entry).is_dir() if entry.is_symlink() else entry.is_dir()


def is_plain(name: str) -> bool:
    """Tell whether a folder of this name may hold photos: it is not hidden, nor does a system put it into archives."""
    return not name.startswith(".") and name.casefold() not in CLUTTER


_WAY_OUT = "Point to such a folder, or make one with `leafdist split RAW DEST` or `leafdist sample-data DEST`"


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
