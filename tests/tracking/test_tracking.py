"""W&B keeps one run, goes offline by itself, and never ends a training."""

import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from leafdist.config.resolve import resolve
from leafdist.config.schema import Config
from leafdist.doctor.services import check_wandb
from leafdist.runs.metrics_log import line_of
from leafdist.runs.tracker import wandb_id
from leafdist.system import network as probe
from leafdist.system.network import unreachable
from leafdist.tracking import wandb_client
from leafdist.tracking.run_tracker import open_tracker
from leafdist.tracking.wandb_client import offline_reason
from tests.helpers.paths import REPO
from tests.helpers.trackers import CONFIG, EPOCH, RESULT, history, lines, metrics, records, run_tracker, step

pytestmark = pytest.mark.usefixtures("own_wandb")


@pytest.fixture
def server() -> Iterator[str]:
    """Answers, as a machine that is not W&B: 404 to all."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("name", "value"),
    [("MODE", "on"), ("BASE_URL", "foo"), ("TAGS", ","), ("RUN_ID", "a/b"), ("PROJECT", "a/b"), ("_SERVICE_WAIT", "x")],
)
@pytest.mark.parametrize("mode", ["auto", "offline"])
def test_bad_variables_are_named(
    name: str, value: str, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"WANDB_{name}", value)
    said: list[str] = []
    tracker = run_tracker(tmp_path, mode=mode, say=said.append)
    tracker.log(step(1))
    tracker.close(0, RESULT)
    assert len(said) == 1
    assert "W&B is off for the rest of this job" in said[0]
    assert f"WANDB_{name} is not what W&B reads" in said[0]
    assert len(metrics(tmp_path)) == 1
    assert check_wandb(resolve(Config())).status == "warning"


def test_other_ranks_write_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tracker = open_tracker(Config(), tmp_path, active=False)
    tracker.log(step(1))
    tracker.close(0, RESULT)
    assert list(tmp_path.iterdir()) == []


def test_resumed_offline_run_is_one_run(tmp_path: Path) -> None:
    folder = tmp_path / "a run"
    said: list[str] = []
    first = run_tracker(folder, mode="offline", project="p", tags=("t",), say=said.append)
    first.log(step(1, loss=float("nan")))
    first.log(step(2, loss=0.25))
    first.log(EPOCH)
    first.close(75, None)
    time.sleep(1.1)  # W&B names a piece by the second
    second = run_tracker(folder, mode="offline", project="p", position=(1, 2), say=said.append)
    second.log(step(3))
    second.close(0, RESULT)

    pieces = sorted((folder / "wandb").glob("offline-run-*"))
    assert len(pieces) == 2
    runs = [record["run"] for piece in pieces for record in records(piece) if record["type"] == "run"]
    assert [run["run_id"] for run in runs] == [wandb_id(folder)] * 2
    assert {key: runs[0][key] for key in ("display_name", "project", "tags")} == {
        "display_name": "leaf",
        "project": "p",
        "tags": ["t"],
    }
    assert runs[0]["config"]["update"].items() >= CONFIG.items()
    assert all(run["resume"] for run in runs)
    rows = history(pieces[0]) + history(pieces[1])
    assert [row["step"] for row in rows] == [1, 2, 2, 3]
    assert rows[0]["train/loss"] == "NaN"
    assert (rows[1]["train/loss"], rows[1]["train/lr"], rows[1]["train/images_per_second"]) == (0.25, 0.1, 9.0)
    assert (rows[2]["train/epoch_loss"], rows[2]["val/loss"], rows[2]["val/accuracy"]) == (0.5, 0.6, 0.75)
    exits = [
        record["exit"].get("exit_code", 0) for piece in pieces for record in records(piece) if record["type"] == "exit"
    ]
    assert exits == [75, 0]
    updates = [record["summary"].get("update", {}) for record in records(pieces[1]) if record["type"] == "summary"]
    assert any({"best/val_accuracy": 0.5, "best/epoch": 0}.items() <= update.items() for update in updates)
    assert shlex.split(said[1].partition("later: ")[2]) == ["leafdist", "sync", str(folder)]


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.helpers.trackers import run_tracker, step
tracker = run_tracker(Path(sys.argv[1]), mode="offline")
for number in range(1, 61):
    tracker.log(step(number, loss=1 / number))
os.killpg(0, signal.SIGKILL)
"""


def test_lost_rows_are_sent_again_equal(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, cwd=REPO, check=False, start_new_session=True, capture_output=True)
    assert done.returncode == -signal.SIGKILL
    time.sleep(1.1)  # W&B names a piece by the second
    second = run_tracker(tmp_path, mode="offline", position=(0, 40))
    second.log(step(41, loss=1 / 41))
    second.close(75, None)
    rows = history(max((tmp_path / "wandb").glob("offline-run-*")))
    assert {row["step"]: row["train/loss"] for row in rows} == {number: 1 / number for number in range(1, 42)}
    time.sleep(1.1)
    with (tmp_path / "metrics.jsonl").open("a") as log:  # by a piece that a kill then ended
        log.write(line_of(replace(EPOCH, step=41)))
    third = run_tracker(tmp_path, mode="offline", position=(1, 41))
    third.close(0, None)
    (row,) = history(max((tmp_path / "wandb").glob("offline-run-*")))
    assert row["train/epoch_loss"] == 0.5, "what W&B has seen to the end is not repeated"


def test_auto_without_key_skips_the_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: str) -> None:
        raise AssertionError("probed")

    monkeypatch.setattr(wandb_client, "unreachable", forbidden)
    said: list[str] = []
    tracker = run_tracker(tmp_path, mode="auto", say=said.append)
    tracker.log(step(1))
    tracker.close(0, None)
    assert len(said) == 1
    assert "no API key" in said[0]
    assert [row["step"] for row in history(next((tmp_path / "wandb").glob("offline-run-*")))] == [1]


@pytest.mark.parametrize("source", ["environment", "netrc"])
def test_key_and_answering_server_mean_online(
    source: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server)
    if source == "environment":
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    else:
        netrc = tmp_path / "netrc"
        netrc.write_text(f"machine {server.removeprefix('http://')} login user password {'a' * 40}\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
    assert offline_reason() is None


def test_refusing_server_means_offline(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", server)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    said: list[str] = []
    tracker = run_tracker(tmp_path, mode="online", say=said.append)
    tracker.log(step(1))
    tracker.close(0, None)
    assert len(said) == 1
    assert "W&B is offline (CommError" in said[0]
    assert [row["step"] for row in history(next((tmp_path / "wandb").glob("offline-run-*")))] == [1]


def test_silent_server_means_offline_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PROBE_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        assert unreachable(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert time.monotonic() - begin < 10.0


def test_hanging_name_lookup_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(probe, "PROBE_SECONDS", 0.2)
    monkeypatch.setattr(probe, "_probe", lambda _: release.wait(10) and None)
    assert "no answer within 0.2 s" in str(unreachable("http://nowhere.invalid"))
    release.set()


def test_proxy_is_asked_instead(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server)
    assert unreachable("http://wandb.invalid") is None


@pytest.mark.parametrize(("wanted", "folders"), [("offline", 1), ("disabled", 0)])
def test_auto_follows_the_environment(
    wanted: str, folders: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", wanted)
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    said: list[str] = []
    run_tracker(tmp_path, mode="auto", say=said.append).close(0, None)
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == folders
    assert [line for line in said if "warning" in line] == []


def test_broken_wandb_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from wandb.sdk import wandb_setup

    said: list[str] = []
    tracker = run_tracker(tmp_path, mode="offline", say=said.append)
    tracker.log(step(1))
    helper = wandb_setup.singleton().assert_service()._proc
    assert helper is not None
    helper._process.terminate()  # as a SIGTERM to every process of a job does
    helper.join()
    for number in range(2, 30):
        tracker.log(step(number))
        time.sleep(0.01)
    tracker.close(0, RESULT)
    assert len([line for line in said if line.startswith("warning: W&B is off")]) == 1
    assert metrics(tmp_path) == lines(*map(step, range(1, 30)))
