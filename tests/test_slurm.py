"""The job scripts on a real Slurm: two processes on CPUs, to the end."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPO, SHARED

UP, DOWN = SHARED / "slurm" / "slurm-up", SHARED / "slurm" / "slurm-down"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.slurm,
    pytest.mark.skipif(not UP.exists() or os.geteuid() != 0, reason=f"needs root and the real Slurm of {UP}"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which sbatch works, with the running Python first on the path."""
    folder = tmp_path_factory.mktemp("slurm")
    up = subprocess.run([UP, "-n", "1", "-P", "17400", folder], capture_output=True, text=True, check=True, timeout=300)
    exports = dict(re.findall(r"export (\w+)='?([^'\n;]+)'?", up.stdout))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    yield {**os.environ, **exports, "PATH": path}
    subprocess.run([DOWN, folder], check=True, capture_output=True, timeout=120)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a job needs of the project, in a folder of its own to write in."""
    for name in ("leafdist", "configs", "slurm"):
        shutil.copytree(REPO / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("train.py", "evaluate.py"):
        shutil.copy(REPO / name, tmp_path)
    return tmp_path


def submit(cluster: dict[str, str], checkout: Path, *command: object, **variables: str) -> tuple[str, str]:
    """Submit, wait, and return the job's state and output."""
    line = ["sbatch", "--parsable", "--output=%j.out", *map(str, command)]
    environment = cluster | variables
    job = subprocess.run(line, capture_output=True, text=True, cwd=checkout, env=environment, check=True).stdout.strip()
    state = "PENDING"
    deadline = time.monotonic() + 400
    while state in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING") and time.monotonic() < deadline:
        time.sleep(1)
        shown = subprocess.run(
            ["scontrol", "-o", "show", "job", job], capture_output=True, text=True, env=cluster, check=True
        )
        found = re.search(r"JobState=(\w+)", shown.stdout)
        assert found
        state = found[1]
    return state, (checkout / f"{job}.out").read_text()


def test_the_smoke_job_trains_and_evaluates_on_two_processes(cluster: dict[str, str], checkout: Path) -> None:
    state, output = submit(cluster, checkout, "slurm/smoke-cpu.sbatch")
    assert state == "COMPLETED", output
    assert "2 process(es) on cpu" in output
    assert re.search(r"smoke +0\.\d{4}", output)


def test_training_and_evaluation_jobs_run_to_the_end(cluster: dict[str, str], checkout: Path, photos: Path) -> None:
    arguments = ["--config", "configs/smoke.yaml", "--data.root", photos, "--train.epochs", 3]
    state, output = submit(cluster, checkout, "--gres=gpu:2", "slurm/train.sbatch", *arguments, CUDA_VISIBLE_DEVICES="")
    assert state == "COMPLETED", output
    assert "2 process(es) on cpu" in output
    assert json.loads((checkout / "runs" / "smoke" / "run.json").read_text())["state"] == "finished"
    state, output = submit(cluster, checkout, "slurm/evaluate.sbatch", "runs/smoke", PROCESSES="2")
    assert state == "COMPLETED", output
    assert json.loads((checkout / "runs" / "smoke" / "eval-test.json").read_text())["images"] == 9


def test_wrong_input_ends_the_job_as_failed_with_the_message_in_its_log(
    cluster: dict[str, str], checkout: Path
) -> None:
    state, output = submit(cluster, checkout, "slurm/train.sbatch", "--optim.lrr", 1)
    assert state == "FAILED"
    assert "optim.lrr: unknown key" in output
