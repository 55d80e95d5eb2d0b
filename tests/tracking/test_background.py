"""W&B in a thread of its own: one that hangs costs a line, and neither a step nor the end of a training."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from leafdist.runs.events import Event
from leafdist.runs.facts import RunResult
from leafdist.tracking import background
from leafdist.tracking.background import Aside
from tests.helpers.paths import REPO
from tests.helpers.programs import quiet_environment
from tests.helpers.trackers import step


class Slow:
    """Hangs in its second line until it is ended."""

    name = "slow"

    def __init__(self) -> None:
        self.ended, self.taken = threading.Event(), list[Event]()

    def start(self, kept: list[Event], position: tuple[int, int]) -> None: ...

    def log(self, event: Event) -> None:
        if self.taken:
            assert self.ended.wait(20)
            raise ConnectionError("the other side was ended")
        self.taken.append(event)

    def close(self, exit_code: int, result: RunResult | None) -> None: ...

    def drop(self) -> None: ...

    def end(self) -> None:
        self.ended.set()


def test_hanging_guest_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "PENDING", 3)
    inner = Slow()
    guest = Aside(inner)
    guest.start([], (0, 0))
    began = time.monotonic()
    for number in range(5):  # one is taken, one is hung on, three wait
        guest.log(step(number))
        time.sleep(0.05)
    with pytest.raises(TimeoutError, match="it hangs: 3 lines wait for it"):
        guest.log(step(5))
    assert time.monotonic() - began < 5
    guest.drop()
    assert inner.ended.is_set()


def test_endless_close_is_not_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "GOODBYE", {True: 0.2, False: 0.2})
    guest = Aside(Slow())
    guest.start([], (0, 0))
    for number in range(2):
        guest.log(step(number))
    with pytest.raises(TimeoutError, match="no end after"):
        guest.close(0, None)
    guest.drop()


PROGRAM = """
import os, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from leafdist.tracking import background
from tests.helpers.trackers import run_tracker, step
from wandb.sdk import wandb_setup

background.PENDING = 20
tracker = run_tracker(Path("run"), mode="offline", say=print)
os.kill(wandb_setup.singleton().assert_service()._proc._process.pid, signal.SIGSTOP)
began = time.monotonic()
for number in range(1, 3001):
    tracker.log(step(number))
tracker.close(1, None)
print(f"{time.monotonic() - began:.1f}")
"""


@pytest.mark.slow
def test_stopped_wandb_stops_nothing_else(tmp_path: Path) -> None:
    environment = {name: value for name, value in quiet_environment().items() if "proxy" not in name.lower()}
    environment |= {"HOME": str(tmp_path), "WANDB_ERROR_REPORTING": "false"}
    command = [sys.executable, "-c", PROGRAM, str(REPO)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "warning: W&B is off for the rest of this job" in done.stdout
    assert "it hangs" in done.stdout
    assert float(done.stdout.splitlines()[-1]) < 60
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 3001))
