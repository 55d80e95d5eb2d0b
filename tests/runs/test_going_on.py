"""What a run goes on from, and what of its folder is ours to remove."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config, ModelConfig
from leafdist.data.cache import prune
from leafdist.data.photo_facts import DataFacts
from leafdist.runs.facts import read_facts
from leafdist.runs.folder import RunFolder, check_run
from leafdist.runs.layout import generations
from leafdist.system import files
from tests.helpers.programs import TINY, Program

COPIES = ("step-000000003.bak", "step-000000003 (copy)", "step-000000003-old", "step-notes.txt", "step-3", "step-best")
KEPT = (".step-notes.damaged", ".step-000000003.bak.damaged", ".mine.tmp", ".notes.2024.tmp", ".a.elsewhere.12.tmp")


def _lose_record(run: Path) -> None:
    shutil.rmtree(run / "last")
    (run / "run.json").unlink()


def _lose_content(run: Path) -> None:
    for path in (run / "last").iterdir():
        shutil.rmtree(path)


GONE: dict[str, Callable[[Path], object]] = {
    "last": lambda run: shutil.rmtree(run / "last"),
    "content": _lose_content,
    "record": _lose_record,
    "renamed": lambda run: [path.rename(f"{path}.bak") for path in (run / "last").iterdir()],
}


def test_copies_are_no_checkpoints(program: Program, photos: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "run"
    assert program("train.py", "--data.root", photos, *TINY, "--train.epochs", 1).returncode == 0
    for name in (*COPIES, *KEPT):
        shutil.copytree(run / "last" / "step-000000003", run / "last" / name)
    shutil.copy(run / "run.json", run / ".mine.tmp")
    torn = run / "last" / ".step-000000006.tmp"  # as left by a kill while it wrote a file in there
    torn.mkdir()
    (torn / f".state.json.{os.uname().nodename}.123.tmp").touch()
    assert [path.name for path in generations(run / "last")] == ["step-000000003"]
    done = program("train.py", "--data.root", photos, *TINY, "--train.epochs", 4, "--train.save_every", 3)
    assert "step-000000003: epoch 2" in done.stdout, done.stderr
    assert {path.name for path in (run / "last").iterdir()} == {*COPIES, *KEPT, "step-000000009", "step-000000012"}
    assert (run / ".mine.tmp").exists()


@pytest.mark.parametrize("lost", GONE)
def test_run_without_checkpoints_is_refused(lost: str, program: Program, photos: Path, tmp_path: Path) -> None:
    run, arguments = tmp_path / "runs" / "run", ("--data.root", photos, *TINY)
    assert program("train.py", *arguments, "--train.epochs", 2).returncode == 0
    before = {path: path.read_bytes() for path in [run / "metrics.jsonl", *(run / "best").iterdir()]}
    GONE[lost](run)
    again = program("train.py", *arguments, "--train.epochs", 2)
    longer = program("train.py", *arguments, "--train.epochs", 3)
    if lost == "record":
        assert again.returncode == 2
    else:
        assert "is finished: 6 steps\n" in again.stdout, again.stderr
    assert longer.returncode == 2
    assert "no checkpoint to go on from" in longer.stderr
    assert "set another run.name" in longer.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_run_never_saved_starts_over(program: Program, photos: Path, tmp_path: Path) -> None:
    """As one that was killed before it wrote its first: what it wrote otherwise is written again, to the bit."""
    run, arguments = tmp_path / "runs" / "run", ("--data.root", photos, *TINY, "--train.epochs", 1)
    assert program("train.py", *arguments).returncode == 0
    best = (run / "best" / "model.safetensors").read_bytes()
    shutil.rmtree(run / "last")
    files.write_text(run / "last" / ".unsaved", "")
    (run / "best" / "meta.json").unlink()
    files.write_json(run / "run.json", files.read_json(run / "run.json") | {"state": "running"})
    done = program("train.py", *arguments)
    assert done.returncode == 0, done.stderr
    assert (run / "best" / "model.safetensors").read_bytes() == best
    assert (run / "best" / "meta.json").exists()
    assert not (run / "last" / ".unsaved").exists()


def test_start_on_full_disk_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a start had written when it ended, the next one takes the folder."""
    config, written = resolve(Config(model=ModelConfig(name="baseline"))), files.write_text

    def full(path: Path, text: str) -> None:
        if path.name == ".unsaved":
            raise OSError(errno.ENOSPC, "No space left on device")
        written(path, text)

    folder = RunFolder(tmp_path / "run", config, DataFacts([], {}))
    monkeypatch.setattr(files, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        folder.start(1, "cpu", 0)
    monkeypatch.undo()
    assert check_run(folder.path, config) == []
    folder.start(1, "cpu", 0)
    folder.set_state("interrupted", "by SIGTERM")
    folder.start(1, "cpu", 0)
    facts = read_facts(folder.path)
    assert (facts.state, facts.reason, facts.ended, len(facts.starts)) == ("running", None, None, 2)


def test_better_best_is_never_replaced(program: Program, photos: Path, tmp_path: Path) -> None:
    """A checkpoint older than best/, as after a damaged one, leads to epochs that do not beat it."""
    run, arguments = tmp_path / "runs" / "run", ("--data.root", photos, *TINY, "--optim.lr", 0.01)
    assert program("train.py", *arguments, "--train.epochs", 6).returncode == 0
    other = tmp_path / "runs" / "other"
    assert program("train.py", *arguments, "--train.epochs", 1, "--run.name", "other").returncode == 0
    shutil.rmtree(other / "best")
    shutil.copytree(run / "best", other / "best")
    best = files.read_json(run / "best" / "meta.json")
    best_epoch = best["epoch"]
    done = program("train.py", *arguments, "--train.epochs", max(1, best_epoch), "--run.name", "other")
    assert done.returncode == 0, done.stderr
    assert files.read_json(other / "best" / "meta.json") == best


def test_cache_keeps_what_others_put_there(tmp_path: Path) -> None:
    ours = ["train-64-0a1b2c3d-11112222.u8", "train-64-0a1b2c3d-11112222.json", "train-64-0a1b2c3d-1111aaaa.names"]
    ours += [".train-64-0a1b2c3d-11112222.u8.node-7.site.org.123.tmp"]
    kept = ["train-64-0a1b2c3d-11112222.u8.bak", "train-64-0a1b2c3d-notes.txt", ".train-64-0a1b2c3d-x.tmp"]
    kept += ["train-64-0a1b2c3d-11112222 (1).u8", "train-64-ffffffff-11112222.u8"]
    for name in ours + kept:
        (tmp_path / name).touch()
    prune(tmp_path, "train-64-0a1b2c3d")
    assert {path.name for path in tmp_path.iterdir()} == set(kept)
