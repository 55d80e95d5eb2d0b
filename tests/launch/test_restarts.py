"""torchrun starts the processes again when one has died, and they go on."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import REPO
from tests.helpers.programs import TINY, quiet_environment

DIES_ONCE = """
import os, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
import train
from leafdist.training.trainer import Trainer
finish = Trainer.finish_epoch
def die(self):
    finish(self)
    self.writer.wait()
    if os.environ["RANK"] == "1" and self.state.epoch == int(os.environ["TORCHELASTIC_RESTART_COUNT"]) + 1 < 3:
        os.kill(os.getpid(), 9)
Trainer.finish_epoch = die
sys.exit(train.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_restarts_by_torchrun_go_on(photos: Path, tmp_path: Path) -> None:
    script = tmp_path / "dies.py"
    script.write_text(DIES_ONCE)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += [
        "--max_restarts",
        "2",
        str(script),
        str(REPO / "train.py"),
        "--config",
        str(REPO / "configs/baseline.yaml"),
    ]
    command += [*map(str, TINY), "--data.root", str(photos), "--data.resize", "16", "--train.epochs", "4"]
    environment = quiet_environment() | {"HOME": str(tmp_path), "PYTHONPATH": str(REPO)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("resumed from") == 2
    assert "done: best val accuracy" in done.stdout
