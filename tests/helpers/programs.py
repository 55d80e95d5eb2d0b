"""One way to start train.py and evaluate.py, and small settings to train with."""

import atexit
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.helpers.paths import REPO
from tests.helpers.preloaded import Preloaded

Program = Callable[..., subprocess.CompletedProcess[str]]
AUGMENTED = ["--augment.scale", "[0.3,1]", "--augment.rotate", 15, "--augment.color", 0.4, "--augment.gray", 0.1]
AUGMENTED += ["--augment.blur", 0.2, "--augment.erase", 0.25, "--augment.trivial", "true"]
TINY = ["--model.name", "baseline", "--train.batch_size", 8, "--train.log_every", 1, "--track.wandb", "off"]
TINY += ["--train.precision", "no"]  # auto would be another on another machine


def quiet_environment() -> dict[str, str]:
    """Return os.environ without W&B and without a Slurm job that the suite may run in; one thread per process."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("WANDB", "SLURM"))}
    return kept | {"OMP_NUM_THREADS": "1"}


@cache
def preloaded() -> Preloaded:
    """Return the process that programs are forked from: one per process of pytest, ended with it."""
    process = Preloaded(quiet_environment())
    atexit.register(process.close)
    return process


def run_program(
    folder: Path, script: str, *arguments: object, processes: int = 1, launcher: bool = False, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `train.py` or `evaluate.py` in `folder` with `processes`, away from the user's W&B and caches.

    With `launcher` under `accelerate launch`, which ends all processes when one has failed.
    """
    environment = quiet_environment() | {"HOME": str(folder), "LEAFDIST_EXPECT_WORLD": str(processes)} | variables
    command = [str(REPO / script), *map(str, arguments)]
    if not launcher:
        ranks = ranks_of(processes) if processes > 1 else [{}]
        return preloaded().run(command, folder, [environment | rank for rank in ranks], timeout=600)
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
    launch += ["--num_processes", str(processes), "--main_process_port", "0"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    return subprocess.run(
        [*launch, *command], capture_output=True, text=True, cwd=folder, env=environment, timeout=600, check=False
    )


def ranks_of(world: int) -> list[dict[str, str]]:
    """Return the variables that torchrun gives to each process of a world on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1"}
    common |= {"MASTER_PORT": str(port)}
    return [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(world)]
