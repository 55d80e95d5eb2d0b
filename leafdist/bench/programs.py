"""Whole programs, each a process of its own: how soon they answer, begin, and how much memory they take."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from leafdist.config import Config, flatten, to_dict

ROOT = Path(__file__).parents[2]
QUIET = ["--track.wandb", "off", "--train.log_every", "1", "--run.resume", "never"]


def start_up(config: Config, turns: int) -> dict[str, float]:
    """Seconds, medians: to --help, to the message about a wrong key, to import the libraries, to the first step."""
    commands = {
        "train.py --help": [sys.executable, "train.py", "--help"],
        "a wrong key": [sys.executable, "train.py", "--optim.rate", "1"],
        "import torch, torchvision, accelerate": [sys.executable, "-c", "import torch, torchvision, accelerate"],
    }
    measured: dict[str, list[float]] = {name: [] for name in [*commands, "train.py to its first step"]}
    for _ in range(turns):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
            measured[name].append(time.perf_counter() - began)
        measured["train.py to its first step"].append(_seconds_to_first_step(config))
    return {name: statistics.median(seconds) for name, seconds in measured.items()}


def processes(config: Config, count: int, cores: int, steps: int, turns: int) -> dict[str, dict[str, float]]:
    """One process with all cores against `count` that share them: photos a second and the peak memory of a process."""
    results: dict[str, dict[str, float]] = {}
    rates: dict[int, list[float]] = {1: [], count: []}
    for _ in range(turns):
        for world, measured in rates.items():
            rate, memory = _train(config, world, cores, steps)
            measured.append(rate)
            results[f"{world} process(es) of {cores // world} core(s)"] = {"mebibytes": memory}
    ratios = [several / one for one, several in zip(rates[1], rates[count], strict=True)]
    for row, measured, ratio in zip(results.values(), rates.values(), (1.0, statistics.median(ratios)), strict=True):
        row |= {"rate": statistics.median(measured), "ratio": ratio}
    return results


def _flags(config: Config, folder: str) -> list[str]:
    given = {key: value for key, value in flatten(to_dict(config)).items() if value is not None}
    given |= {"run.folder": folder, "run.name": "bench", "data.root": str(Path(config.data.root).resolve())}
    words = [word for key, value in given.items() for word in (f"--{key}", json.dumps(value).strip('"'))]
    return words + QUIET


def _seconds_to_first_step(config: Config) -> float:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        process = _start([sys.executable, "train.py", *_flags(config, folder)], cores=None)
        _wait_for(process, Path(folder), steps=1)
        seconds = time.perf_counter() - began
        process.terminate()
        process.wait()
    return seconds


def _train(config: Config, world: int, cores: int, steps: int) -> tuple[float, float]:
    """Photos a second, the median of the steps after the first two; and MiB of the largest process at its peak."""
    launcher: Sequence[str] = []
    if world > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *launcher, "train.py", *_flags(config, folder)]
        process = _start(command, cores=max(1, cores // world))
        rates = _wait_for(process, Path(folder), steps + 2)
        process.terminate()
        _, status, usage = os.wait4(process.pid, 0)  # the largest of the process and those that it waited for
        process.returncode = os.waitstatus_to_exitcode(status)
    return statistics.median(rates[2:]), usage.ru_maxrss / 1024


def _start(command: Sequence[str], cores: int | None) -> subprocess.Popen[bytes]:
    environment = os.environ | ({"OMP_NUM_THREADS": str(cores)} if cores else {})
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


def _wait_for(process: subprocess.Popen[bytes], folder: Path, steps: int) -> list[float]:
    """Photos a second of each step so far, as soon as there are so many. Raises ValueError where it ends before."""
    log, rates = folder / "bench" / "metrics.jsonl", list[float]()
    while len(rates) < steps:
        time.sleep(0.005)
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        rates = [event["images_per_second"] for event in events if event["event"] == "step"]
        if process.poll() is not None and len(rates) < steps:
            raise ValueError(f"a training ended after {len(rates)} of {steps} steps: try train.py by itself")
    return rates
