"""Data on the node's own disk: copied there once, by one process, checked, and found again by the next job.

`<scratch>/leafdist-<user>/<name>-<key>/` is a copy; <name>-<key>.json, written last, says what it was made from and
what it should hold. The key covers source, sizes and times, so that no copy is of an older version.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from leafdist.data import cache as caches
from leafdist.data.cache import Say
from leafdist.data.decode import LIMIT, Fit
from leafdist.data.index import Index, scan
from leafdist.data.labels import NAME
from leafdist.data.layouts import check_split
from leafdist.data.pack import BESIDE, PACK, cache_folder, check, ensure_pack, family
from leafdist.data.photos import SPLITS, below_single_folders, list_classes
from leafdist.system import console, files, plain, signals
from leafdist.system.archive import Archive
from leafdist.system.unpack import unpack

FORMAT = 1
COPIERS = 16  # files at a time: waits overlap on network file systems


@dataclass(frozen=True)
class Listing:
    """What a copy holds besides packs, as its manifest says; listing: digest of names, sizes and times."""

    files: int
    bytes: int
    listing: str


def scratch(to: Path | None = None) -> Path:
    """Make or find this user's folder below `to`, $SLURM_TMPDIR or $TMPDIR. Raises ValueError."""
    disk = to or os.environ.get("SLURM_TMPDIR") or os.environ.get("TMPDIR")
    if not disk:
        raise ValueError("nowhere to stage: neither SLURM_TMPDIR nor TMPDIR is set. Set one to a disk of this node")
    folder = Path(disk).absolute() / f"leafdist-{os.geteuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise ValueError(f"{folder}: nothing can be staged there ({error.strerror}). Name another folder") from error
    if status.st_uid != os.geteuid() or folder.is_symlink():
        raise ValueError(f"{folder} belongs to somebody else. Name another folder")
    return folder


def stage(source: Path, to: Path | None = None, say: Say = print) -> Path:
    """Copy `source` below `scratch(to)`, or find it there; return the folder of {train,val,test}.

    An archive is read once and unpacked as `unpack` does; of a folder, photos and packs are copied. Safe between
    processes. Raises ValueError where it cannot be read, is no data set, or does not fit.
    """
    folder, indexes = scratch(to), {} if source.is_file() else scan_all(source)
    target = folder / f"{source.name.split('.')[0]}-{key(source, indexes)}"
    with alone(target, say):
        manifest = target.with_name(f"{target.name}.json")
        if fault := find_fault(target, manifest):
            say(f"staging {source} to {target} ({fault})")
            manifest.unlink(missing_ok=True)
            shutil.rmtree(target, ignore_errors=True)
            with files.atomic_folder(target) as new:
                made_from = {"format": FORMAT, "source": str(source.resolve())}
                if indexes:
                    copy_folder(source, indexes, new, target)
                else:
                    made_from["sha256"] = copy_archive(source, new, target)
            files.write_json(manifest, made_from | plain.to_plain(listing(target)))
        else:
            say(f"found {source} staged in {target}")
    return find_root(target, source)


def stage_pack(
    index: Index,
    side: int,
    cache: Path,
    workers: int,
    *,
    say: Say = print,
    fit: Fit = "stretch",
    max_pixels: int = LIMIT,
    filter_: str = "bilinear",
) -> Path:
    """Copy the pack of `index`, which is in `cache` or is built there, to `scratch()`, or find it there intact.

    Raises ValueError as `ensure_pack` does, and where the copy does not fit.
    """
    name = family(index.folder, side, fit, filter_)
    path = scratch() / f"{name}-{index.stamp[:8]}.u8"
    if cache.exists() and cache.samefile(path.parent):
        return ensure_pack(index, side, cache, workers, say, fit=fit, max_pixels=max_pixels, filter_=filter_)
    with alone(path.with_name(name), say):
        if fault := check(path, index, side, fit, filter_):
            source = ensure_pack(index, side, cache, workers, say, fit=fit, max_pixels=max_pixels, filter_=filter_)
            caches.prune(path.parent, name)
            check_space(source.stat().st_size, path, source)
            say(f"staging {source} to {path} ({fault})")
            for file in (source, source.with_suffix(".json")):  # the header is what makes a pack exist
                with files.atomic_path(path.with_suffix(file.suffix)) as temporary:
                    shutil.copyfile(file, temporary)
            if fault := check(path, index, side, fit, filter_):
                raise ValueError(f"{path}: the copy differs from {source} ({fault}). Name another folder")
    return path


def scan_all(root: Path) -> dict[str, Index]:
    """Scan every split of a folder, each with the classes that it has: whether these fit, `open_sources` says.

    Raises ValueError where there is none for training.
    """
    check_split(root, "train")
    splits = [split for split in SPLITS if (root / split).exists()]
    return {split: scan(root, split, list_classes(root / split)) for split in splits}


def key(source: Path, indexes: dict[str, Index]) -> str:
    """Return a digest of the path of the source and of the names, sizes, times and labels of what it holds."""
    status = source.stat()
    version = "".join(index.stamp for index in indexes.values()) or f"{status.st_size} {status.st_mtime_ns}"
    if (source / NAME).is_file():
        version += files.sha256(source / NAME)
    if source.is_dir():  # masks are copied too, and may come later
        version += "".join(sorted(path.name for path in cache_folder(source, None).glob("*-masks*.json")))
    return hashlib.sha256(os.fsencode(f"{source.resolve()}\t{version}")).hexdigest()[:16]


@contextmanager
def alone(target: Path, say: Say) -> Iterator[None]:
    """Let one process at a time work at `target`; turn errors of the disk into ValueError."""
    try:
        with caches.alone(target.parent, target.name, say):
            yield
    except OSError as error:
        raise ValueError(f"{target}: cannot be staged ({error}). Name another folder") from error


def find_fault(target: Path, manifest: Path) -> str | None:
    """Return what is wrong with the copy, or None. Compares names, sizes and times; contents were, when it was made."""
    if not manifest.exists():
        return "half done by a job that was killed" if target.exists() else "there is no copy yet"
    noted = caches.read_header(Listing, manifest)
    if noted is None:
        return "its manifest is damaged"
    found = listing(target)
    changed = [name for name in ("files", "bytes", "listing") if getattr(noted, name) != getattr(found, name)]
    return f"the copy there has other {', '.join(changed)}" if changed else None


def listing(folder: Path) -> Listing:
    """List what a copy holds but for packs, which are checked when used and may come later."""
    lines = []
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != BESIDE]
        for name in names:
            status = os.stat(file := f"{path}/{name}")  # noqa: PTH116 (a Path for each of 40,000 names is slow)
            lines.append((os.fsencode(file[len(str(folder)) :]), status.st_size, status.st_mtime_ns))
    digest = hashlib.sha256(b"".join(b"%s\t%d\t%d\n" % line for line in sorted(lines))).hexdigest()
    return Listing(len(lines), sum(size for _, size, _ in lines), digest)


def copy_archive(source: Path, new: Path, target: Path) -> str:
    """Unpack into `new`, which becomes `target`; packs are renamed for that path. Returns the SHA-256."""
    check_space(Archive(source).bytes_needed(), new, source)
    digest = unpack(source, new).sha256
    root = find_root(new, source)
    for header in (root / BESIDE).glob("*.json"):
        if not (found := PACK.fullmatch(header.stem)):
            continue
        split, side, stamp = found.groups()
        name = f"{family(target / root.relative_to(new) / split, side)}-{stamp}"
        for file in (header, header.with_suffix(".u8")):
            file.rename(file.with_name(name + file.suffix))
    return digest


def copy_folder(source: Path, indexes: dict[str, Index], new: Path, target: Path) -> None:
    """Copy photos, with their times, and packs into `new`. Raises ValueError where the source changes meanwhile."""
    pairs = [(source / name, new / name) for name in ("split.json", NAME) if (source / name).exists()]
    for split, index in indexes.items():
        for label in index.classes:
            (new / split / label).mkdir(parents=True)
        pairs += [(index.folder / name, new / split / name) for name in (*index.names, *index.dropped)]
        made = cache_folder(source, None).glob(f"{family(index.folder, '*')}-*.json")  # of packs and of masks
        for header in filter(lambda path: caches.is_readable(path.with_suffix(".u8")), made):
            _, side, _, version = header.stem.rsplit("-", 3)
            copy = new / BESIDE / f"{family(target / split, side)}-{version}.json"
            pairs += [(header.with_suffix(kind), copy.with_suffix(kind)) for kind in (".u8", ".json")]
    (new / BESIDE).mkdir()
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


def check_space(size: int, folder: Path, source: Path) -> None:
    """Raises ValueError, naming older copies, where `size` bytes do not fit."""
    free = shutil.disk_usage(folder.parent).free
    if size > free:
        beside = [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]
        names = sorted(path.name for path in beside) if folder.is_dir() else []  # else among others' files
        older = f"Remove an older copy ({', '.join(names)}) or name" if names else "Name"
        raise ValueError(f"{source} needs {size >> 20} MiB, {folder.parent} has {free >> 20}. {older} another folder")


def find_root(folder: Path, source: Path) -> Path:
    """Find the folder of {train,val,test} below single folders. Raises ValueError where there is none."""
    root = below_single_folders(folder)
    if not (root / "train").is_dir():
        raise ValueError(f"{source} holds no data set: a folder of {{train,val,test}} alone, as `leafdist split` makes")
    return root
