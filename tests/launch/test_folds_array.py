"""slurm/folds.sbatch: what a task of the array trains and evaluates; without Slurm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import REPO

STUB = """train_job() { echo train "$@"; trap '' USR1 TERM; return "$STATUS"; }
requeue() { exit 75; }
launch() { echo "$@" "$(trap -p TERM)"; [ -z "${WARNED:-}" ] || kill -USR1 $$; }
"""


@pytest.mark.parametrize(("status", "warned", "left"), [(0, "", 0), (3, "", 3), (0, "1", 75)])
def test_task_trains_then_evaluates_its_fold(status: int, warned: str, left: int, tmp_path: Path) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "launch.sh").write_text(STUB)
    environment = os.environ | {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_ARRAY_TASK_ID": "2", "STATUS": str(status)}
    environment["WARNED"] = warned  # by Slurm, of the time limit, while it evaluates
    python = Path(sys.executable).parent  # the stub activates no environment
    environment |= {"PYTHONPATH": str(REPO), "PATH": f"{python}:{os.environ['PATH']}"}
    given = ["--model.name", "baseline", "--run.folder", "kept here", "--seed", "1"]
    command = ["bash", str(REPO / "slurm" / "folds.sbatch"), *given]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    trained, *evaluated = [line.strip() for line in done.stdout.splitlines()]
    assert trained == f"train {' '.join(given)} --data.fold 2 --run.name fold-2"
    expected = ["evaluate.py kept here/fold-2 --split val", "evaluate.py kept here/fold-2"]
    assert (done.returncode, evaluated) == (left, [] if status else expected[: 1 if warned else 2]), done.stderr
