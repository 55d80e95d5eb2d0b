"""The folders of packs and runs: writable, large and fast enough, with locks, and the same on all nodes."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from leafdist.config.schema import Config
from leafdist.data.folds import split_folder
from leafdist.data.pack import cache_folder, family
from leafdist.data.photos import SPLITS
from leafdist.doctor.diagnosis import Finding, error, ok, warning
from leafdist.doctor.meeting import Meeting
from leafdist.models.build import build_model
from leafdist.system import locks

PIECE, PIECES = 4 << 20, 8  # bytes written to see how fast that is
CHECKPOINTS = 4  # in a run folder at once: two of last/, the next one, and best/
MOMENTS = {"adam": 2, "adamw": 2, "sgd": 1}  # tensors of the optimizer per weight
SLOW = 30  # seconds for a checkpoint


def check_runs(config: Config) -> Iterator[Finding]:
    """Check the folder of the runs, where checkpoints go."""
    size = checkpoint_bytes(config)
    yield from check_folder("runs", Path(config.run.folder), size * CHECKPOINTS, "Set run.folder to another disk", size)


def check_cache(config: Config) -> Iterator[Finding]:
    """Check the folder of the packs."""
    data, split = config.data, split_folder(config.data)
    if data.source == "folder" or not split.is_dir():
        return
    folder, side, parts = cache_folder(split, data.cache), int(data.resize), [split / part for part in SPLITS]
    photos = sum(len(names) for part in parts for _, _, names in os.walk(part))
    ours = (family(part, side, data.fit, data.interpolation) for part in parts)
    there = sum(path.stat().st_size for name in ours for path in folder.glob(f"{name}-*.u8"))
    needed = max(0, photos * side**2 * 3 - there)
    yield from check_folder("packs", folder, needed, "Name another folder with data.cache")


def checkpoint_bytes(config: Config, classes: int = 1000) -> int:
    """Bytes of one checkpoint: weights and the optimizer's tensors."""
    with torch.device("meta"):
        model = build_model(config.model.name, classes, config.data.side)
    weights: int = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    return weights * (1 + MOMENTS[config.optim.name])


def check_folder(check: str, folder: Path, needed: int, way: str, checkpoint: int = 0) -> Iterator[Finding]:
    """Write into a folder, which need not exist yet, for a few seconds at most; all is removed again.

    needed, checkpoint: bytes. way: the way out.
    """
    try:
        with probe(folder) as path:
            writes = write_speed(path)
            yield check_locks(folder, path)
    except OSError as fault:
        yield error(check, f"{folder} cannot be written: {fault.strerror or fault}", way)
        return
    free = shutil.disk_usage(existing(folder)).free
    figures = {"writes": writes, "free": free / 2**30}
    text = f"{folder}: {{free:,.1f}} GiB free, writes {{writes:,.0f}} MB/s"
    if free < needed:
        yield error(check, f"{text}, {needed / 2**30:,.1f} GiB may be needed", f"Make room. {way}", figures)
    elif checkpoint / (writes * 1e6) > SLOW:
        text += f": a checkpoint of {checkpoint / 2**20:,.0f} MiB takes long"
        yield warning(check, text, f"{way}, or save less often: train.save_minutes", figures)
    else:
        yield ok(check, text, figures=figures)


def check_locks(folder: Path, path: Path) -> Finding:
    """Whether a lock beside `path` that one process holds is seen by another on this node."""
    said: list[str] = []
    lock = locks.hold(path.with_name(f"{path.name}.lock"), 1, said.append)
    seen = locks.held(Path(lock.lock_file))
    lock.release()
    Path(lock.lock_file).unlink(missing_ok=True)
    if said or not seen:
        text = f"the file system of {folder} has no locks: two jobs could train one run at once"
        return warning("locks", text, "Mount it with locks (Lustre: -o flock; NFS: without nolock), or take another")
    return ok("locks", f"work in {folder}")


@contextmanager
def probe(folder: Path) -> Iterator[Path]:
    """Make a file in `folder`, or where that would be made; it is gone afterwards. Raises OSError."""
    with tempfile.TemporaryDirectory(prefix=".leafdist-doctor-", dir=existing(folder)) as inside:
        path = Path(inside) / "probe"
        path.touch()
        yield path


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def write_speed(path: Path) -> float:
    """MB/s of writing through to the disk. Raises OSError."""
    piece = os.urandom(PIECE)  # some file systems do not store zeros
    with path.open("wb") as file:
        began = time.perf_counter()
        for _ in range(PIECES):
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
        return PIECE * PIECES / 1e6 / (time.perf_counter() - began)


def check_shared(meeting: Meeting, runs: Path) -> Iterator[Finding]:
    """Compare the folder of runs with that of rank 0, which holds a lock there; called on all ranks."""
    launch, deadline = meeting.launch, time.monotonic() + meeting.patience.total_seconds()
    if launch.rank == 0:
        try:
            show(meeting, runs, deadline)
        except OSError:  # reported by the check of that folder
            meeting.put("shown", None)
        return
    if launch.local_rank == 0 and (shown := meeting.get("shown", 0, deadline)) and shown[0] != launch.node:
        yield look(Path(shown[1]), shown[0])
    meeting.put("looked", value=True)


def show(meeting: Meeting, runs: Path, deadline: float) -> None:
    """Hold a lock in the folder of runs until all ranks have looked."""
    with probe(runs) as path:
        lock = locks.hold(path, 1, lambda _: None)
        meeting.put("shown", [meeting.launch.node, str(path)])
        for rank in range(1, meeting.launch.world):
            meeting.get("looked", rank, deadline)
        lock.release()


def look(path: Path, first: str) -> Finding:
    """Whether this node sees the file at `path` that node `first` holds a lock on."""
    folder = path.parent.parent
    if not path.exists():
        text = f"{folder} of {first} is another folder here: a job that is requeued elsewhere would not find its run"
        return warning("runs", text, "Set run.folder to a folder that all nodes share")
    if locks.held(path) is not True:
        text = f"a lock that {first} holds in {folder} is not seen here: two jobs could train one run at once"
        return warning("locks", text, "Mount it with locks (Lustre: -o flock, not localflock; NFS: no local_lock)")
    return ok("locks", f"those of {first} in {folder} are seen")
