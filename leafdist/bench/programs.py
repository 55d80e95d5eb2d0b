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

from leafdist.config.schema import Config, flatten, to_dict

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
        _, seconds, _ = _train(config, 1, None, 1)
        measured["train.py to its first step"].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in measured.items()}


def processes(config: Config, count: int, cores: int, steps: int, turns: int) -> dict[str, dict[str, float]]:
    """One process with all cores against `count` that share them: photos a second and the peak memory of a process."""
    results: dict[str, dict[str, float]] = {}
    rates: dict[int, list[float]] = {1: [], count: []}
    for _ in range(turns):
        for world, measured in rates.items():
            found, _, memory = _train(config, world, max(1, cores // world), steps + 2)
            measured.append(statistics.median(found[2:]))
            results[f"{world} process(es) of {cores // world} core(s)"] = {"mebibytes": memory}
    ratios = [several / one for one, several in zip(rates[1], rates[count], strict=True)]
    for row, measured, ratio in zip(results.values(), rates.values(), (1.0, statistics.median(ratios)), strict=True):
        row |= {"rate": statistics.median(measured), "ratio": ratio}
    return results


def _flags(config: Config, folder: str) -> list[str]:
    given = {key: value for key, value in flatten(to_dict(config)).items() if value is not None}
    given |= {"run.folder": folder, "run.name": "bench", "data.root": str(Path(config.data.root).resolve())}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    return [word for key, text in texts.items() for word in (f"--{key}", text)] + QUIET


def _train(config: Config, world: int, cores: int | None, steps: int) -> tuple[list[float], float, float]:
    """Photos a second of each of the first steps, seconds to the last of them, MiB of the largest process."""
    launcher: Sequence[str] = []
    if world > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    environment = os.environ | ({"OMP_NUM_THREADS": str(cores)} if cores else {})
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *launcher, "train.py", *_flags(config, folder)]
        began, quiet = time.perf_counter(), subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet, env=environment)
        try:
            rates = _wait_for(process, Path(folder), steps)
            seconds = time.perf_counter() - began
        finally:
            process.terminate()
            _, status, usage = os.wait4(process.pid, 0)  # the largest of the process and those that it waited for
            process.returncode = os.waitstatus_to_exitcode(status)
    return rates, seconds, usage.ru_maxrss / 1024


def _wait_for(process: subprocess.Popen[bytes], folder: Path, steps: int) -> list[float]:
    """Photos a second of each step so far, as soon as there are so many. Raises ValueError where it ends before."""
    log, rates = folder / "bench" / "metrics.jsonl", list[float]()
    while len(rates) < steps:
        time.sleep(0.005)
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # left for wait4
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        rates = [event["images_per_second"] for event in events if event["event"] == "step"]
        if ended and len(rates) < steps:
            raise ValueError(f"a training ended after {len(rates)} of {steps} steps: try train.py by itself")
    return rates
