"""slurm/sweep.sbatch: which run of its list a task trains, with comments, empty lines, quotes; without Slurm."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.helpers.paths import REPO

LIST = """# rates to try

--optim.lr 1e-3   # the usual one
  # indented
--run.folder 'a # b' --track.tags '[x, y]'\r
#--optim.lr 5
\t
--optim.lr "$RATE" """


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (1, ["--optim.lr", "1e-3"]),
        (2, ["--run.folder", "a # b", "--track.tags", "[x, y]"]),
        (3, ["--optim.lr", "7"]),
        (4, None),
    ],
)
def test_tasks_skip_comments(task: int, words: list[str] | None, tmp_path: Path) -> None:
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "launch.sh").write_text("train_job() { printf '%s\\n' \"$@\"; }\n")
    (tmp_path / "rates.txt").write_text(LIST, newline="")
    environment = os.environ | {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_ARRAY_TASK_ID": str(task), "RATE": "7"}
    command = ["bash", str(REPO / "slurm" / "sweep.sbatch"), "rates.txt", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if words is None:
        assert (done.returncode, done.stdout) == (2, "")
        assert "rates.txt has no run 4" in done.stderr
    else:
        assert done.stdout.splitlines() == [*words, "--seed", "1", "--run.name", f"rates-{task}"], done.stderr
