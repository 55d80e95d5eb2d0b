"""Data on the node's own disk: copied there once, by one process, checked, and found again by the next job.

`<scratch>/leafdist-<user>/<name>-<key>/` is a copy, <name>-<key>.json what it was made from and what it should hold:
written last, it is what makes a copy exist. The key names source, size and times: no copy is of an older version.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leafdist.data.decode import Fit
from leafdist.data.index import Index, scan
from leafdist.data.pack import cache_folder, check, ensure_pack, family
from leafdist.system import console, files, locks, signals
from leafdist.system.archive import Archive
from leafdist.system.unpack import unpack

Say = Callable[[str], None]
FORMAT = 1
FOREVER = -1  # a large data set takes as long as it takes
COPIERS = 16  # files at a time: waits overlap on network file systems
PACKS = ".leafdist"  # beside the data


def scratch(to: Path | None = None) -> Path:
    """This user's folder below `to`, $SLURM_TMPDIR or $TMPDIR, made where needed. Raises ValueError."""
    place = to or os.environ.get("SLURM_TMPDIR") or os.environ.get("TMPDIR")
    if not place:
        raise ValueError(
            "nowhere to stage: neither SLURM_TMPDIR nor TMPDIR is set. Set one to a disk of the node's own"
        )
    folder = Path(place).absolute() / f"leafdist-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise ValueError(f"{folder}: nothing can be staged there ({error.strerror}). Name another folder") from error
    if status.st_uid != os.geteuid() or folder.is_symlink():
        raise ValueError(f"{folder} belongs to somebody else. Name another folder")
    return folder


def stage(source: Path, to: Path | None = None, say: Say = print) -> Path:
    """A copy of `source` below `scratch(to)`: the folder of {train,val,test}. Safe between processes, and reused.

    An archive is read once, from its start to its end, and unpacked as `unpack` does; of a folder, the photos and packs
    are copied. Raises ValueError where it cannot be read, is no data set, or does not fit.
    """
    folder, indexes = scratch(to), {} if source.is_file() else scan_all(source)
    place = folder / f"{source.name.split('.')[0]}-{key(source, indexes)}"
    with alone(place, say):
        manifest = place.with_name(f"{place.name}.json")
        fault = find_fault(place, manifest)
        if fault:
            say(f"staging {source} to {place} ({fault})")
            manifest.unlink(missing_ok=True)
            shutil.rmtree(place, ignore_errors=True)
            with files.atomic_folder(place) as new:
                facts = copy_folder(source, indexes, new, place) if indexes else copy_archive(source, new, place)
            files.write_json(manifest, {"format": FORMAT, "source": str(source.resolve()), **facts, **listing(place)})
        else:
            say(f"found {source} staged in {place}")
    return find_root(place, source)


def stage_pack(index: Index, side: int, cache: Path, workers: int, *, say: Say = print, fit: Fit = "stretch") -> Path:
    """A copy in `scratch()` of the pack of `index`, which is in `cache` or is built there; reused where it is whole.

    Raises ValueError as `ensure_pack` does, and where the copy does not fit.
    """
    name = family(index.folder, side, fit)
    path = scratch() / f"{name}-{index.stamp[:8]}.u8"
    with alone(path.with_name(name), say):
        fault = check(path, index, side, fit)
        if fault:
            source = ensure_pack(index, side, cache, workers, say, fit=fit)
            for old in [*path.parent.glob(f"{name}-*"), *path.parent.glob(f".{name}-*.tmp")]:
                old.unlink()  # a job that has it mapped keeps it
            check_space(source.stat().st_size, path.parent, source)
            say(f"staging {source} to {path} ({fault})")
            for file in (source, source.with_suffix(".json")):  # the header is what makes a pack exist
                with files.atomic_path(path.with_suffix(file.suffix)) as temporary:
                    shutil.copyfile(file, temporary)
            if fault := check(path, index, side, fit):
                raise ValueError(f"{path}: the copy is not what {source} is ({fault}). Name another folder")
    return path


def scan_all(root: Path) -> dict[str, Index]:
    """Every split of a folder. Raises ValueError where there is none for training."""
    train = scan(root, "train")
    others = [split for split in ("val", "test") if (root / split).exists()]
    return {"train": train} | {split: scan(root, split, train.classes) for split in others}


def key(source: Path, indexes: dict[str, Index]) -> str:
    """Of where the source is, and of the names, sizes and times of what it holds."""
    status = source.stat()
    version = "".join(index.stamp for index in indexes.values()) or f"{status.st_size} {status.st_mtime_ns}"
    return hashlib.sha256(os.fsencode(f"{source.resolve()}\t{version}")).hexdigest()[:16]


@contextmanager
def alone(place: Path, say: Say) -> Iterator[None]:
    """One process at a time works at `place`. What the disk answers becomes a ValueError."""
    path = place.with_name(f".{place.name}.lock")
    try:
        lock = locks.hold(path, FOREVER, say)
        try:
            yield
        finally:
            lock.release()
    except OSError as error:
        raise ValueError(f"{place}: cannot be staged ({error}). Name another folder") from error


def find_fault(place: Path, manifest: Path) -> str | None:
    """What is wrong with the copy, or None. Names, sizes and times are compared; contents were, when it was made."""
    if not manifest.exists():
        return "half done by a job that was killed" if place.exists() else "there is no copy yet"
    try:
        noted = dict(files.read_json(manifest))
    except (ValueError, TypeError):
        return "its manifest is damaged"
    changed = [name for name, value in listing(place).items() if noted.get(name) != value]
    return f"the copy there has other {', '.join(changed)}" if changed else None


def listing(folder: Path) -> dict[str, Any]:
    """Files, bytes and a digest of names, sizes and times, packs aside: they check themselves, and come later."""
    lines = []
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != PACKS]
        for name in names:
            status = os.stat(file := f"{path}/{name}")  # noqa: PTH116 (a Path for each of 40,000 names is slow)
            lines.append((os.fsencode(file[len(str(folder)) :]), status.st_size, status.st_mtime_ns))
    digest = hashlib.sha256(b"".join(b"%s\t%d\t%d\n" % line for line in sorted(lines))).hexdigest()
    return {"files": len(lines), "bytes": sum(size for _, size, _ in lines), "listing": digest}


def copy_archive(source: Path, new: Path, place: Path) -> dict[str, str]:
    """Returns the archive's SHA-256; packs in it are named for where they will be."""
    check_space(Archive(source).bytes_needed(), new, source)
    digest = unpack(source, new).sha256
    root = find_root(new, source)
    for header in (root / PACKS).glob("*.json"):
        split, side, _, stamp = header.stem.rsplit("-", 3)
        name = f"{family(place / root.relative_to(new) / split, side)}-{stamp}"
        for file in (header, header.with_suffix(".u8")):
            file.rename(file.with_name(name + file.suffix))
    return {"sha256": digest}


def copy_folder(source: Path, indexes: dict[str, Index], new: Path, place: Path) -> dict[str, str]:
    """Photos, many at a time, with their times, and packs as they are. Raises ValueError where the source changes."""
    pairs = [(source / name, new / name) for name in ("split.json",) if (source / name).exists()]
    for split, index in indexes.items():
        for label in index.classes:
            (new / split / label).mkdir(parents=True)
        pairs += [(index.folder / name, new / split / name) for name in index.names]
        for header in cache_folder(source, None).glob(f"{family(index.folder, '*')}-{index.stamp[:8]}.json"):
            side = header.stem.rsplit("-", 3)[1]
            target = new / PACKS / f"{family(place / split, side)}-{index.stamp[:8]}.json"
            pairs += [(header.with_suffix(kind), target.with_suffix(kind)) for kind in (".u8", ".json")]
    (new / PACKS).mkdir()
    with ThreadPoolExecutor(COPIERS) as pool, console.bar(len(pairs), "file", "staging") as bar:
        try:
            check_space(sum(pool.map(lambda pair: pair[0].stat().st_size, pairs)), new, source)
            for _ in pool.map(lambda pair: shutil.copy2(*pair), pairs):
                bar.update()
                signals.check()
        finally:
            pool.shutdown(cancel_futures=True)
    changed = [split for split, index in indexes.items() if scan(new, split, index.classes).stamp != index.stamp]
    if changed:
        raise ValueError(f"{source / changed[0]} changed while it was staged. Wait until it is complete")
    return {}


def check_space(size: int, folder: Path, source: Path) -> None:
    """Raises ValueError, naming older copies."""
    free = shutil.disk_usage(folder).free
    if size > free:
        names = sorted(path.name for path in folder.parent.iterdir() if path.is_dir() and path != folder)
        older = f"Remove an older copy ({', '.join(names)}) or name" if names else "Name"
        raise ValueError(f"{source} needs {size >> 20} MiB, {folder.parent} has {free >> 20}. {older} another folder")


def find_root(folder: Path, source: Path) -> Path:
    """The folder of {train,val,test} in `folder`, below single folders. Raises ValueError where there is none."""
    while not (folder / "train").is_dir():
        inside = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
        if len(inside) != 1:
            raise ValueError(
                f"{source} holds no data set: a folder of {{train,val,test}} alone, as `leafdist split` makes"
            )
        folder = inside[0]
    return folder
