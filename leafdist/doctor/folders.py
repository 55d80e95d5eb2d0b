"""The folders of data and runs: writable, roomy, fast enough, with locks that others see."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leafdist.config.schema import Config
from leafdist.doctor.diagnosis import Finding, error, ok, warning
from leafdist.system import locks

PIECE, PIECES = 4 << 20, 8  # bytes written to see how fast that is
GENERATIONS = 3  # of the last checkpoint: two that are kept, and the next
MOMENTS = {"adam": 2, "adamw": 2, "sgd": 1}  # tensors of the optimizer a weight
FEW = 1000  # files that may still be made
SLOW = 30  # seconds for a checkpoint
SKEW = 2.0  # seconds between this machine's clock and the file server's
MiB = 2**20


def check_runs(config: Config) -> Iterator[Finding]:
    """Where checkpoints go."""
    folder, needed = Path(config.run.folder), checkpoint_bytes(config)
    way = "Set run.folder to another disk"
    yield from check_folder("runs", folder, needed * (GENERATIONS + 1), way, checkpoint=needed)


def check_cache(config: Config) -> Iterator[Finding]:
    """Where the packs of the photos go."""
    from leafdist.data.folds import fold_name
    from leafdist.data.pack import cache_folder

    root = Path(config.data.root)
    if config.data.source == "folder" or not root.is_dir():
        return
    folder = cache_folder(root, config.data.cache)
    split = root if config.data.fold is None else root / fold_name(config.data.fold)
    photos = sum(len(names) for part in ("train", "val", "test") for _, _, names in os.walk(split / part))
    made = sum(path.stat().st_size for path in folder.glob("*.u8")) if folder.is_dir() else 0
    needed = max(0, photos * config.data.resize**2 * 3 - made)
    yield from check_folder("packs", folder, needed, "Name another folder with data.cache")


def checkpoint_bytes(config: Config, classes: int = 1000) -> int:
    """Of one generation: weights and the optimizer's tensors, counted without making any."""
    import torch

    from leafdist.models.build import build_model

    side = int(config.data.crop) or config.data.resize
    with torch.device("meta"):
        model = build_model(config.model.name, classes, side)
    weights: int = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    return weights * (1 + MOMENTS[config.optim.name])


def check_folder(check: str, folder: Path, needed: int, way: str, checkpoint: int = 0) -> Iterator[Finding]:
    """By writing there, a few seconds at most, and clearing it away. The folder itself need not exist yet."""
    try:
        with probe(folder) as place:
            writes, reads = speed(place)
            skew = time.time() - place.stat().st_mtime
            yield check_locks(folder, place)
    except OSError as fault:
        yield error(check, f"{folder} cannot be written: {fault.strerror or fault}", way)
        return
    free = shutil.disk_usage(existing(folder)).free
    figures = {"writes": writes, "reads": reads, "free": free / 2**30}
    text = f"{folder}: {{free:,.1f}} GiB free, writes {{writes:,.0f}} and reads {{reads:,.0f}} MB/s"
    if free < needed:
        text = f"{folder}: {{free:,.1f}} GiB free, {needed / 2**30:,.1f} GiB may be needed"
        yield error(check, text, f"Make room. {way}", free=free / 2**30)
    elif checkpoint / (writes * 1e6) > SLOW:
        text = f"{text}: a checkpoint of {checkpoint / MiB:,.0f} MiB takes long"
        yield warning(check, text, f"{way}, or save less often: train.save_minutes", **figures)
    else:
        yield ok(check, text, **figures)
    yield from check_entries(check, folder, way)
    if abs(skew) > SKEW:
        text = f"files made now in {folder} are dated {{skew:+.0f}} s from this machine's clock"
        yield warning("clock", text, "Let the administrator mend NTP on this node or the file server", skew=-skew)


def check_entries(check: str, folder: Path, way: str) -> Iterator[Finding]:
    """A disk may be out of names while it has room."""
    facts = os.statvfs(existing(folder))
    if facts.f_files and facts.f_favail < FEW:
        yield error(check, f"{folder}: only {facts.f_favail} more files fit on its disk (inodes)", f"Make room. {way}")


def check_locks(folder: Path, place: Path) -> Finding:
    """Whether a lock that one holds is seen by another; those of other nodes are another matter."""
    said: list[str] = []
    lock = locks.hold(place.with_name(f"{place.name}.lock"), 1, said.append)
    seen = locks.held(Path(lock.lock_file))
    lock.release()
    Path(lock.lock_file).unlink(missing_ok=True)
    if said or not seen:
        text = f"the file system of {folder} has no locks: two jobs could train one run at once"
        return warning("locks", text, "Mount it with them (Lustre: -o flock; NFS: without nolock), or take another")
    return ok("locks", f"work in {folder}")


@contextmanager
def probe(folder: Path) -> Iterator[Path]:
    """A file that is gone afterwards. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix=".leafdist-doctor-", dir=existing(folder)) as inside:
        path = Path(inside) / "probe"
        path.touch()
        yield path


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there already."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def speed(path: Path) -> tuple[float, float]:
    """MB/s of writing through to the disk, and of reading with what is cached dropped first. Raises OSError."""
    piece = os.urandom(PIECE)  # some file systems do not write zeros
    file = os.open(path, os.O_RDWR)
    try:
        began = time.perf_counter()
        for _ in range(PIECES):
            _write_all(file, piece)
        os.fsync(file)
        written = time.perf_counter()
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.lseek(file, 0, os.SEEK_SET)
        while os.read(file, PIECE):
            pass
        read = time.perf_counter()
    finally:
        os.close(file)
    size = PIECE * PIECES / 1e6
    return size / (written - began), size / (read - written)


def _write_all(file: int, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(file, view) :]
