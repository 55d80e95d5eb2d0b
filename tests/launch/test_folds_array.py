"""slurm/folds.sbatch: what a task of the array trains and evaluates; without Slurm."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import REPO

STUB = """train_job() { echo train "$@"; trap '' USR1 TERM; return "$STATUS"; }
requeue() { exit 75; }
preempted() { [ -n "${PREEMPTED:-}" ]; }
launch() { echo "$@" "$(trap -p TERM)"; [ -z "${WARNED:-}" ] || kill -USR1 $$; return "${EVALUATED:-0}"; }
"""
VAL, TEST = "evaluate.py kept here/fold-2 --split val", "evaluate.py kept here/fold-2 --split test"
CASES: dict[str, tuple[dict[str, str], int, list[str]]] = {
    "evaluated": ({}, 0, [VAL, TEST]),
    "not trained": ({"STATUS": "3"}, 3, []),
    "out of time": ({"WARNED": "1"}, 75, [VAL]),
    "warned as the training ends": ({"SIGNALLED": "1"}, 75, []),
    "preempted": ({"EVALUATED": "143", "PREEMPTED": "1"}, 75, [VAL]),
    "failed": ({"EVALUATED": "1"}, 1, [VAL]),
}


def ran(folder: Path, **environment: str) -> tuple[int, list[str]]:
    """The exit status of a task, and what it started."""
    (folder / "slurm").mkdir()
    (folder / "slurm" / "launch.sh").write_text(STUB)
    python = Path(sys.executable).parent  # the stub activates no environment
    known = {"SLURM_SUBMIT_DIR": str(folder), "SLURM_ARRAY_TASK_ID": "2", "STATUS": "0", "PYTHONPATH": str(REPO)}
    known |= {"PATH": f"{python}:{os.environ['PATH']}"}
    given = ["--model.name", "baseline", "--run.folder", "kept here", "--seed", "1"]
    command = ["bash", str(REPO / "slurm" / "folds.sbatch"), *given]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | known | environment, check=False, timeout=60
    )
    trained, *evaluated = [line.strip() for line in done.stdout.splitlines()]
    assert trained == f"train {' '.join(given)} --data.fold 2 --run.name fold-2", done.stderr
    return done.returncode, evaluated


@pytest.mark.parametrize("case", CASES)
def test_task_trains_then_evaluates_its_fold(case: str, tmp_path: Path) -> None:
    environment, status, evaluated = CASES[case]
    assert ran(tmp_path, **environment) == (status, evaluated)


@pytest.mark.parametrize(("last", "evaluated"), [(["report.html"], [TEST]), ([], [VAL, TEST])])
def test_finished_evaluation_of_fold_stays(last: list[str], evaluated: list[str], tmp_path: Path) -> None:
    run = tmp_path / "kept here" / "fold-2"
    for number, name in enumerate(["eval-test.json", "report.html", "best/model.safetensors", "eval-val.json", *last]):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).touch()
        os.utime(run / name, (number, number))  # test was evaluated before the training went on
    assert ran(tmp_path) == (0, evaluated)
