"""Splits by links and copies, on file systems without locks or links."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from leafdist.__main__ import main
from leafdist.prepare.split import split, transfer
from tests.helpers.files import tree
from tests.helpers.raw_folders import make_raw


@pytest.mark.parametrize("mode", ["hardlink", "symlink"])
@pytest.mark.parametrize("folds", [None, 2])
def test_links_equal_copies(tmp_path: Path, mode: str, folds: int | None) -> None:
    raw = make_raw(tmp_path / "raw", a=20, b=20)
    more = ["--folds", str(folds)] if folds else []
    assert main(["split", str(raw), str(tmp_path / "links"), "--mode", mode, *more]) == 0
    split(raw, tmp_path / "copies", folds=folds)
    links, copies = tree(tmp_path / "links"), tree(tmp_path / "copies")
    photos = [name for name in links if not name.endswith(".json")]
    assert {name: links[name] for name in photos} == {
        name: content for name, content in copies.items() if not name.endswith(".json")
    }
    for name in photos:
        path = tmp_path / "links" / name
        assert path.is_symlink() == (mode == "symlink")
        assert path.samefile(raw / path.parent.name / path.name)


def test_missing_hard_links_name_way_out(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(ValueError, match="Use --mode copy or symlink"):
        transfer([(tmp_path / "a", Path("/dev/shm") / f"leafdist-{os.getpid()}")], "hardlink")  # another file system
    with pytest.raises(OSError, match="No such file"):
        transfer([(tmp_path / "a", tmp_path / "none" / "a")], "hardlink")


def test_read_only_photos_split_and_remove(tmp_path: Path) -> None:
    raw = make_raw(tmp_path / "raw", a=10)
    for path in raw.rglob("*"):
        path.chmod(0o444 if path.is_file() else 0o555)
    split(raw, tmp_path / "out")
    assert all(path.stat().st_mode & 0o200 for path in (tmp_path / "out").rglob("*"))
    (raw / "a").chmod(0o755)


@pytest.mark.parametrize("fault", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_missing_locks_only_warn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int) -> None:
    monkeypatch.setattr("fcntl.flock", failing(fault))
    said: list[str] = []
    split(make_raw(tmp_path / "raw", a=5), tmp_path / "out", say=said.append)
    assert "has no locks" in said[0]
    monkeypatch.setattr("fcntl.flock", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        split(tmp_path / "raw", tmp_path / "other")


@pytest.mark.parametrize("fault", [errno.EPERM, errno.EXDEV, errno.EMLINK, errno.EOPNOTSUPP])
def test_folds_are_copied_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int) -> None:
    raw = make_raw(tmp_path / "raw", a=20)
    split(raw, tmp_path / "linked", folds=2)
    monkeypatch.setattr(os, "link", failing(fault))
    split(raw, tmp_path / "copied", folds=2)
    assert tree(tmp_path / "copied") == tree(tmp_path / "linked")
    monkeypatch.setattr(os, "link", failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        split(raw, tmp_path / "full", folds=2)


def failing(fault: int) -> Callable[..., None]:
    def fail(*arguments: object, **options: object) -> None:
        raise OSError(fault, os.strerror(fault))

    return fail
