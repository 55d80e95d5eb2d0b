"""Faults that are not kills: each ends the run within a bounded time, named, with the last checkpoint whole."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from leafdist.runs import checkpoint
from tests.faults.campaign import kill_all, wait_for
from tests.helpers.paths import REPO
from tests.helpers.photos import draw
from tests.helpers.programs import TINY, Program

pytestmark = pytest.mark.slow
FAULTY = "tests/faults/faulty_train.py"
SAVES = [*TINY, "--train.save_every", 2, "--train.epochs", 4]


def record(tmp_path: Path) -> dict[str, Any]:
    return dict(json.loads((tmp_path / "runs" / "run" / "run.json").read_text()))


def last_step(tmp_path: Path) -> int:
    """Return the step of the checkpoint that would be resumed."""
    path = checkpoint.newest(tmp_path / "runs" / "run" / "last", print)
    assert path
    return int(path.name[5:14])


def start(photos: Path, tmp_path: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, REPO / "train.py", "--data.root", photos, *SAVES, *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    log = (tmp_path / "log.txt").open("a")
    with log:
        return subprocess.Popen(
            list(map(str, command)), stdout=log, stderr=log, text=True, cwd=tmp_path, env=environment
        )


@pytest.mark.parametrize("victim", [0, 1])
def test_throwing_rank_is_named(victim: int, program: Program, photos: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    done = program(FAULTY, "throw", victim, "--data.root", photos, *SAVES, processes=2, launcher=True)
    assert done.returncode != 0
    assert f"rank {victim} was the first to fail: KeyError: 'a mistake of ours'" in done.stderr
    assert 'raise KeyError("a mistake of ours")' in done.stderr, "a bug keeps its traceback"
    assert record(tmp_path)["state"] == "failed"
    assert "a mistake of ours" in record(tmp_path)["reason"]
    assert last_step(tmp_path) == 4
    assert time.monotonic() - began < 90


@pytest.mark.parametrize("victim", [0, 1])
def test_hanging_rank_is_named_with_stacks(victim: int, program: Program, photos: Path, tmp_path: Path) -> None:
    done = program(
        FAULTY,
        "hang",
        victim,
        "--data.root",
        photos,
        *SAVES,
        "--train.timeout_minutes",
        0.2,
        processes=2,
        launcher=True,
    )
    assert done.returncode != 0
    for rank in (0, 1):
        assert re.search(rf"rank {rank}: no step for \d+ s. Its stacks:", done.stderr)
    assert "in faulty_step" in done.stderr, "where it hangs"
    assert f"rank {victim} was the first to fail: it hangs" in done.stderr
    if victim == 1:
        assert record(tmp_path)["state"] == "interrupted", "worth another try"
    assert last_step(tmp_path) == 4


def test_dead_rank_of_four_is_named(program: Program, photos: Path, tmp_path: Path) -> None:
    done = program(FAULTY, "die", 3, "--data.root", photos, *SAVES, processes=4, launcher=True)
    assert done.returncode != 0
    assert "rank 3 was the first to fail: it died without a word" in done.stderr
    assert not re.search(r"rank [012] was the first to fail", done.stderr)
    assert record(tmp_path)["state"] == "interrupted"


def test_stuck_rank_is_ended_with_reason(program: Program, photos: Path, tmp_path: Path) -> None:
    """As in a collective of a GPU, which no error breaks."""
    done = program(FAULTY, "desert", 1, "--data.root", photos, *SAVES, processes=2, launcher=True)
    assert done.returncode != 0
    assert "rank 0: rank 1 was the first to fail: KeyError: 'a mistake of ours'; leaving a collective" in done.stderr
    assert record(tmp_path)["state"] == "failed"
    assert "a mistake of ours" in record(tmp_path)["reason"]


@pytest.mark.parametrize("victim", [0, 1])
def test_dead_rank_is_named_without_launcher(victim: int, program: Program, photos: Path, tmp_path: Path) -> None:
    """As NCCL's do. No launcher is there either that would end the others."""
    done = program(FAULTY, "vanish", victim, "--data.root", photos, *SAVES, processes=2)
    why = "it died without a word" if victim else "it is gone, and with it the store"
    assert f"rank {1 - victim}: rank {victim} was the first to fail: {why}" in done.stderr
    assert "leaving a collective that hangs" in done.stderr
    if victim == 1:
        assert record(tmp_path)["state"] == "interrupted", "worth another try"
        assert "died without a word" in record(tmp_path)["reason"]


def test_sleeping_rank_is_waited_for(program: Program, photos: Path, tmp_path: Path) -> None:
    """As in the migration of a virtual machine: taken for dead, and then it is not."""
    done = program(FAULTY, "pause", 1, "--data.root", photos, *SAVES, processes=2)
    assert done.returncode == 0, done.stderr
    assert record(tmp_path)["state"] == "finished"


def test_nonfinite_step_names_step_and_files(program: Program, photos: Path, tmp_path: Path) -> None:
    done = program(FAULTY, "inf", 0, "--data.root", photos, *SAVES)
    assert done.returncode == 1
    assert "not finite at step 6, epoch 2, learning rate 0.001, files " in done.stderr
    assert "Traceback" not in done.stderr
    assert record(tmp_path)["state"] == "failed"
    facts = json.loads((tmp_path / "runs" / "run" / "not-finite.json").read_text())
    assert len(facts["files"]) == 1, "the last batch of an epoch"
    assert (photos / "train" / facts["files"][0]).exists()
    assert last_step(tmp_path) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_photo_going_bad_is_named(workers: int, photos: Path, tmp_path: Path) -> None:
    arguments = ["--data.source", "folder", "--data.workers", workers, "--train.epochs", 2000]
    process = start(photos, tmp_path, *arguments)
    assert wait_for(process, (tmp_path / "runs" / "run" / "best" / "meta.json").exists)
    bad = next((photos / "train").rglob("*.png"))
    bad.write_bytes(b"no picture")
    assert process.wait(60) == 2
    output = (tmp_path / "log.txt").read_text()
    assert f"{bad} cannot be decoded" in output
    assert "Traceback" not in output
    assert record(tmp_path)["state"] == "failed"
    assert last_step(tmp_path) > 0


def test_killed_loader_worker_is_named(photos: Path, tmp_path: Path) -> None:
    process = start(photos, tmp_path, "--data.source", "folder", "--data.workers", 2, "--train.epochs", 2000)
    assert wait_for(process, (tmp_path / "runs" / "run" / "best" / "meta.json").exists)
    below = psutil.Process(process.pid).children(recursive=True)
    servers = [child for child in below if "forkserver" in " ".join(child.cmdline())]
    max((child for child in servers if child.parent() in servers), key=lambda child: child.pid).kill()
    assert process.wait(60) == 1
    output = (tmp_path / "log.txt").read_text()
    assert "a loader worker was killed" in output
    assert record(tmp_path)["state"] == "failed"


def test_packing_workers_end_with_parent(tmp_path: Path) -> None:
    root = draw(tmp_path / "many", {"train": 400, "val": 1, "test": 1})
    process = subprocess.Popen([sys.executable, "-m", "leafdist", "pack", str(root)], cwd=REPO, text=True)
    try:
        assert wait_for(process, lambda: len(psutil.Process(process.pid).children(recursive=True)) >= 2)
        workers = [
            child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())
        ]
    finally:
        process.kill()
        process.wait()
    assert workers
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


LOADING = """
import gc, multiprocessing, os, signal, sys
from pathlib import Path
import numpy as np, torch
from leafdist.data.index import scan
from leafdist.data.loader import Loader
from leafdist.data.plan import Share
from leafdist.data.source import FolderSource
if __name__ == "__main__":
    loader = Loader(FolderSource(scan(Path(sys.argv[1]), "train"), 16), torch.device("cpu"), workers=2)
    try:  # one of the two workers gets nothing to do; the error and the loader hold each other
        list(loader.batches([Share.undrawn(np.array([0]))]))
    except ValueError as error:
        kept = [error]
        kept.append(kept)
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    del kept, loader
    gc.collect()
"""


@pytest.mark.parametrize("end", ["left", "killed"])
def test_loader_workers_end_with_parent(end: str, photos: Path, tmp_path: Path) -> None:
    min((photos / "train").rglob("000.png")).write_bytes(b"no picture")
    script = tmp_path / "loading.py"
    script.write_text(LOADING)
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    command: list[str | Path] = [sys.executable, script, photos, end]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False, timeout=60)
    assert done.returncode == (0 if end == "left" else -signal.SIGKILL)
    helpers = [int(word) for word in done.stdout.split()]
    assert len(helpers) == 2
    deadline = time.monotonic() + 20
    while any(map(psutil.pid_exists, helpers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [pid for pid in helpers if psutil.pid_exists(pid)] == []


def test_second_job_in_folder_is_refused(photos: Path, tmp_path: Path, program: Program) -> None:
    process = start(photos, tmp_path, "--train.epochs", 2000)
    assert wait_for(process, (tmp_path / "runs" / "run" / "metrics.jsonl").exists)
    second = program("train.py", "--data.root", photos, *SAVES, "--train.epochs", 2000)
    assert second.returncode == 2
    assert re.search(r"runs/run is in use by another job \(host .*, Slurm job None, started 20", second.stderr)
    assert process.poll() is None
    kill_all(process)
    (tmp_path / "runs" / "run" / ".lock").write_text("left by a dead job of node17")
    before = last_step(tmp_path)
    process = start(photos, tmp_path, "--train.epochs", 2000)
    assert wait_for(process, lambda: last_step(tmp_path) > before)
    kill_all(process)


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT])
def test_workers_ignore_signals_and_status_75(number: signal.Signals, photos: Path, tmp_path: Path) -> None:
    process = start(photos, tmp_path, "--data.source", "folder", "--data.workers", 2, "--train.epochs", 2000)
    assert wait_for(process, (tmp_path / "runs" / "run" / "best" / "meta.json").exists)
    for member in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
        member.send_signal(number)  # as Slurm does, to every process of the job
    assert process.wait(60) == 75
    output = (tmp_path / "log.txt").read_text()
    assert re.search(rf"by {number.name}: saved at step \d+; leaving with status 75, \d+\.\d s after", output)
    assert record(tmp_path)["state"] == "interrupted"
