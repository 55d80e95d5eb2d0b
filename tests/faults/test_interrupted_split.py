"""A split that fails or is killed is noticed, and the same command starts over."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from leafdist.data.photos import UNFINISHED
from leafdist.prepare.split import split
from tests.helpers.files import tree
from tests.helpers.raw_folders import make_raw


def test_failed_split_starts_over_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = make_raw(tmp_path / "raw", a=20, b=20)
    copies: list[Path] = []

    def copy(source: Path, target: Path) -> None:
        copies.append(target)
        if len(copies) > 10:
            raise OSError("No space left on device")
        target.write_bytes(source.read_bytes())

    with monkeypatch.context() as patch:
        patch.setattr("leafdist.prepare.split.shutil.copyfile", copy)
        with pytest.raises(OSError, match="No space"):
            split(raw, tmp_path / "out")
    assert (tmp_path / "out" / UNFINISHED).exists()
    assert not (tmp_path / "out" / "split.json").exists()
    (tmp_path / "out" / ".split.json.host.1.tmp").touch()  # killed while split.json was being written
    said: list[str] = []
    split(raw, tmp_path / "out", say=said.append)
    split(raw, tmp_path / "fresh", say=said.append)
    assert len(said) == 1
    assert "starting over" in said[0]
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")


SLOW_SPLIT = """
import shutil, sys, time
from pathlib import Path
from leafdist.prepare.split import split
copy = shutil.copyfile
shutil.copyfile = lambda source, target: (time.sleep(0.05), copy(source, target))
split(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_running_split_is_locked_killed_repeats(tmp_path: Path) -> None:
    raw, dest = make_raw(tmp_path / "raw", a=600), tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", SLOW_SPLIT, str(raw), str(dest)]) as process:
        try:
            until = time.monotonic() + 30
            while not list(dest.glob("train/a/*")) and time.monotonic() < until:
                time.sleep(0.01)
            with pytest.raises(ValueError, match="being written by another split"):
                split(raw, dest)
        finally:
            process.send_signal(signal.SIGKILL)
    assert 0 < len(tree(dest)) < 600
    split(raw, dest)
    split(raw, tmp_path / "fresh")
    assert tree(dest) == tree(tmp_path / "fresh")
