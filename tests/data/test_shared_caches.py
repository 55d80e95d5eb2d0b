"""Caches that several people share: what one may not read is as if it were not there, and no umask locks others out."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from leafdist.data.kept_index import open_index
from leafdist.data.pack import BESIDE, cache_folder, check, ensure_pack
from leafdist.system import locks
from tests.helpers.other_user import as_other_user
from tests.helpers.photos import draw

SIDE = 8


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data set in a folder that other users reach and may write to; their caches go to `home` beside it."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "home").mkdir()
    (folder / "home").chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "home"))
    before = os.umask(0)
    root = draw(folder / "splitted", {"train": 2})
    for label in (root / "train").iterdir():
        os.utime(label, (1, 1))  # not FRESH, so that the index is kept
    yield root
    os.umask(before)
    for path in folder.rglob("*"):
        path.chmod(0o777)
    shutil.rmtree(folder)


@pytest.mark.parametrize("own_cache", [False, True])
@pytest.mark.parametrize("closed", ["", "*.u8", "*.json", ".train-*.lock", ".index-*.lock", "*.index", "*.names"])
def test_closed_files_lock_nobody_out(closed: str, own_cache: bool, shared: Path) -> None:
    beside = cache_folder(shared, None)
    index = open_index(shared, "train", None, beside)
    ensure_pack(index, SIDE, beside, 1)
    for path in beside.glob(closed) if closed else [beside]:
        path.chmod(0)

    def work() -> None:
        cache = cache_folder(shared, str(shared.parent / "home" / "mine") if own_cache else None)
        found = open_index(shared, "train", None, cache, lambda text: None)
        pack = ensure_pack(found, SIDE, cache, 1, lambda text: None)
        assert check(pack, found, SIDE) is None

    as_other_user(work)


def test_lock_that_may_only_be_read(shared: Path) -> None:
    lock = shared / ".lock"
    lock.touch()
    lock.chmod(0o444)

    def work() -> None:
        with locks.alone(lock, print):
            assert locks.held(lock)
        assert not locks.held(lock)

    as_other_user(work)


def test_sticky_folder_of_others_is_left(shared: Path) -> None:
    (shared / BESIDE).mkdir()
    (shared / BESIDE).chmod(0o1777)
    assert cache_folder(shared, None) == shared / BESIDE
    if not os.geteuid():
        as_other_user(lambda: _assert(cache_folder(shared, None).is_relative_to(shared.parent / "home")))


def _assert(value: bool) -> None:
    assert value


@pytest.mark.parametrize(
    ("folder", "cache", "file", "lock"),
    [
        (0o755, 0o755, 0o644, 0o644),
        (0o770, 0o770, 0o640, 0o660),
        (0o777, 0o777, 0o644, 0o666),
        (0o700, 0o700, 0o600, 0o600),
        (0o1777, 0o755, 0o644, 0o644),
    ],
)
def test_caches_have_the_folders_mode(folder: int, cache: int, file: int, lock: int, shared: Path) -> None:
    shared.chmod(folder)
    os.umask(0o077)
    beside = cache_folder(shared, None)
    ensure_pack(open_index(shared, "train", None, beside), SIDE, beside, 1)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in beside.iterdir()}
    assert stat.S_IMODE(beside.stat().st_mode) == cache
    assert {mode for name, mode in modes.items() if name.endswith(".lock")} == {lock}
    assert {mode for name, mode in modes.items() if not name.endswith(".lock")} == {file}
