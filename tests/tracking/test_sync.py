"""`leafdist sync`: the pieces of a run in the order of time, and no hang where there is no network."""

import shutil
import stat
import time
from pathlib import Path

import pytest

from leafdist.__main__ import main
from leafdist.tracking.sync import pieces


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    names = ["offline-run-20260102_000000-abc", "run-20260101_000000-abc", "offline-run-20260103_000000-other"]
    names += ["offline-run-20260104_000000-abc-1", "offline-run-20260105_000000-abc-other"]
    for name in names:
        (tmp_path / "runs/leaf/wandb" / name).mkdir(parents=True)
    (tmp_path / "runs/leaf/wandb-id.txt").write_text("abc\n")
    return tmp_path / "runs" / "leaf"


def test_pieces_are_in_time_order(run: Path) -> None:
    found = [path.name.removeprefix("offline-") for path in pieces(run)]
    assert found == ["run-20260101_000000-abc", "run-20260102_000000-abc", "run-20260104_000000-abc-1"]


def test_run_without_pieces_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sync", str(tmp_path)]) == 2
    assert "holds no W&B data" in capsys.readouterr().err


def test_offline_sync_fails_within_seconds(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "leafdist.tracking.sync.offline_reason", lambda: "https://api.wandb.ai gave no answer within 3 s"
    )
    began = time.monotonic()
    assert main(["sync", str(run)]) == 2
    assert time.monotonic() - began < 5
    assert "gave no answer" in capsys.readouterr().err


def test_command_names_pieces_and_returns_status(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A program of that name stands in for the upload, which needs a server."""
    package = tmp_path / "wandb.py"
    package.write_text("import sys; print('called', *sys.argv[1:]); sys.exit(3)")
    package.chmod(stat.S_IRUSR)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("leafdist.tracking.sync.offline_reason", lambda: None)
    other = shutil.copytree(run, tmp_path / "other")
    assert main(["sync", str(run), str(other)]) == 3
    called = [line.split() for line in capfd.readouterr().out.splitlines() if line.startswith("called")]
    for one, words in zip((run, other), called, strict=True):
        assert words == ["called", "sync", "--include-online", "--id", "abc", *map(str, pieces(one))]
