"""slurm/folds.sbatch: what a task of the array trains and evaluates; without Slurm."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.helpers.paths import REPO

STUB = """train_job() { echo train "$@"; trap '' TERM; return "$STATUS"; }
launch() { echo "$@" "$(trap -p TERM)"; }
"""


@pytest.mark.parametrize("status", [0, 3])
def test_task_trains_then_evaluates_its_fold(status: int, tmp_path: Path) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "launch.sh").write_text(STUB)
    environment = os.environ | {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_ARRAY_TASK_ID": "2", "STATUS": str(status)}
    environment |= {"PYTHONPATH": str(REPO)}
    given = ["--model.name", "baseline", "--run.folder", "kept here", "--seed", "1"]
    command = ["bash", str(REPO / "slurm" / "folds.sbatch"), *given]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    trained, *evaluated = [line.strip() for line in done.stdout.splitlines()]
    assert trained == f"train {' '.join(given)} --data.fold 2 --run.name fold-2"
    expected = ["evaluate.py kept here/fold-2 --split val", "evaluate.py kept here/fold-2"]
    assert (done.returncode, evaluated) == (status, [] if status else expected), done.stderr
