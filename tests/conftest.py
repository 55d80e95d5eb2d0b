"""Small data sets and one way to start the programs, shared by all tests."""

import atexit
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.helpers.preloaded import Preloaded

REPO = Path(__file__).parents[1]
SHARED = REPO.parent / "shared"
CLASSES = ("Apple___healthy", "Corn___rust, common", "Grape___blight (leaf)")

TOGETHER = ("test_slurm.py", "test_campaign.py")  # their tests share what takes long to make
Program = Callable[..., subprocess.CompletedProcess[str]]


class Grouped(LoadScopeScheduling):  # type: ignore[misc]  # xdist is untyped to mypy
    """Tests go to whichever worker is free, those of a file in TOGETHER to the same one.

    pytest-xdist's own --dist loadgroup does nothing under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", maxsplit=1)[0]
        return file if file.endswith(TOGETHER) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Grouped:
    return Grouped(config, log)


def draw(root: Path, counts: dict[str, int], side: int = 40, classes: Sequence[str] = CLASSES) -> Path:
    """Photos of noise around a colour that gives the class away, as root/split/class/n.png."""
    random = np.random.default_rng(0)
    for split, count in counts.items():
        for label, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 90, (side, side, 3), np.uint8)
                pixels[..., label % 3] += 120
                Image.fromarray(pixels).save(root / split / name / f"{number:03}.png")
    return root


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """3 classes, 17 photos to train on: batches of 8 leave one photo for the last, fewer than two processes."""
    root = draw(tmp_path / "splitted", {"train": 6, "val": 3, "test": 3})
    (root / "train" / CLASSES[2] / "005.png").unlink()
    return root


def quiet_environment() -> dict[str, str]:
    """Away from the user's W&B and from a Slurm job that the suite may run in; a thread a process."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("WANDB", "SLURM"))}
    return kept | {"OMP_NUM_THREADS": "1"}


@cache
def preloaded() -> Preloaded:
    """One a process of pytest, ended with it."""
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
    """What torchrun tells each process of a world on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1"}
    common |= {"MASTER_PORT": str(port)}
    return [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(world)]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """See `run_program`."""
    return partial(run_program, tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)
