"""A Slurm of two nodes on this machine, and a job script at work on it."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.helpers.paths import SHARED

UP, DOWN = SHARED / "slurm" / "slurm-up", SHARED / "slurm" / "slurm-down"
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


@dataclass
class Cluster:
    """A Slurm of two nodes on this machine; `environment` is the one in which sbatch works."""

    folder: Path
    environment: dict[str, str]

    def call(self, *command: object, cwd: Path | None = None, **variables: str) -> str:
        line, environment = list(map(str, command)), self.environment | variables
        done = subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environment, check=True)
        return done.stdout.strip()

    def facts(self, job: str) -> dict[str, str]:
        """Return the job's facts as scontrol shows them."""
        shown = self.call("scontrol", "-o", "show", "job", job)
        return dict(re.findall(r"(\w+)=(\S*)", shown))


def free_ports(count: int) -> str:
    """The first of `count` in a row, below those that the system gives to others."""
    for first in range(17400, 32000, 100):
        with ExitStack() as stack, suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("0.0.0.0", port))
            return str(first)
    raise AssertionError("no free ports")


@dataclass
class Job:
    """A job script at work in a checkout of its own."""

    cluster: Cluster
    checkout: Path
    id: str = ""

    def submit(self, *command: object, **variables: str) -> "Job":
        line = ["sbatch", "--parsable", "--output=%j.out", *command]
        self.id = self.cluster.call(*line, cwd=self.checkout, **variables)
        return self

    @property
    def output(self) -> str:
        path = self.checkout / f"{self.id}.out"
        return path.read_text() if path.exists() else ""

    def run(self, name: str = "smoke") -> dict[str, Any]:
        path = self.checkout / "runs" / name / "run.json"
        return dict(json.loads(path.read_text())) if path.exists() else {"state": "none"}

    def wait(self, happened: Callable[[], bool], limit: float = 300) -> None:
        deadline = time.monotonic() + limit
        while not happened():
            assert time.monotonic() < deadline, self.output
            time.sleep(0.5)

    def end(self, seconds: float = 600) -> str:
        """Wait for it, say how it went, and return its state."""
        self.wait(lambda: self.cluster.facts(self.id)["JobState"] in ENDED, seconds)
        facts = self.cluster.facts(self.id)
        print(f"| {facts['Command'].split('/')[-1]} | {self.id} | {facts['Restarts']} | {facts['JobState']} |")
        return facts["JobState"]

    def trains(self, name: str = "smoke", steps: int = 10) -> bool:
        """Whether the start that runs now has taken so many steps."""
        path = self.checkout / "runs" / name / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        starts = [number for number, line in enumerate(lines) if '"start"' in line]
        return bool(starts) and len(lines) - starts[-1] > steps and self.run(name)["state"] == "running"

    def steps(self, name: str = "smoke") -> list[int]:
        """Return the numbers of the steps that the run's metrics tell of."""
        lines = (self.checkout / "runs" / name / "metrics.jsonl").read_text().splitlines()
        return [event["step"] for event in map(json.loads, lines) if event["event"] == "step"]


def training(photos: Path, epochs: int) -> list[object]:
    """Arguments of train.py; 60 epochs take long enough to be cut off on the way."""
    arguments = ["--config", "configs/smoke.yaml", "--data.root", photos, "--train.epochs", epochs]
    return [*arguments, "--train.batch_size", 8, "--train.log_every", 1, "--track.wandb", "off"]


def finished(job: Job, epochs: int, restarts: int) -> None:
    """The run is whole: each step once, by so many starts at least."""
    assert job.end() == "COMPLETED", job.output
    record = job.run()
    assert record["state"] == "finished"
    assert len(record["starts"]) > restarts
    assert job.steps() == list(range(1, 3 * epochs + 1))
