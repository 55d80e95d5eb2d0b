"""Whole programs, each a process of its own: how soon they answer and begin, and how much memory they take.

python benchmarks/programs.py [--turns 5] --config configs/baseline.yaml --data.root DATA  # flags are those of train.py

Prints JSON: median seconds to answer and to the first step; one process with all cores against two that share them.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from leafdist.config.parse import parse_config
from leafdist.config.schema import Config, flatten, to_dict
from leafdist.runs.layout import RunLayout
from leafdist.system.processes import usable_cores

ROOT = Path(__file__).parents[1]
STEPS = 6  # of a training, after two to warm up
QUIET = ["--track.wandb", "off", "--train.log_every", "1", "--run.resume", "never"]
FIRST_STEP = "train.py to its first step"
COMMANDS = {
    "train.py --help": [sys.executable, "train.py", "--help"],
    "a wrong key": [sys.executable, "train.py", "--optim.rate", "1"],
    "import torch, torchvision, accelerate": [sys.executable, "-c", "import torch, torchvision, accelerate"],
}


@dataclass(frozen=True)
class Launch:
    """Photos per second, median; its ratio to that of one process, median; MiB of the largest process."""

    rate: float
    ratio: float
    mebibytes: float


def start_up(config: Config, turns: int) -> dict[str, float]:
    """Median seconds of COMMANDS, and from train.py's start to its first step."""
    measured: dict[str, list[float]] = {name: [] for name in (*COMMANDS, FIRST_STEP)}
    for _ in range(turns):
        for name, command in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
            measured[name].append(time.perf_counter() - began)
        measured[FIRST_STEP].append(_train(config, 1, None, 1)[1])
    return {name: statistics.median(seconds) for name, seconds in measured.items()}


def processes(config: Config, cores: int, turns: int) -> dict[str, Launch]:
    """One process with all cores against two that share them."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    memory = dict[int, float]()
    for _ in range(turns):
        for world, measured in rates.items():
            found, _, memory[world] = _train(config, world, max(1, cores // world), STEPS + 2)
            measured.append(statistics.median(found[2:]))
    return {
        f"{world} process(es) of {cores // world} core(s)": Launch(
            statistics.median(own),
            statistics.median(mine / base for mine, base in zip(own, rates[1], strict=True)),
            memory[world],
        )
        for world, own in rates.items()
    }


def _flags(config: Config, folder: str) -> list[str]:
    given = {key: value for key, value in flatten(to_dict(config)).items() if value is not None}
    given |= {"run.folder": folder, "run.name": "bench", "data.root": str(Path(config.data.root).resolve())}
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    return [word for key, text in texts.items() for word in (f"--{key}", text)] + QUIET


def _train(config: Config, world: int, cores: int | None, steps: int) -> tuple[list[float], float, float]:
    """Photos per second of each of the first steps, seconds to the last of them, MiB of the largest process."""
    launcher: Sequence[str] = []
    if world > 1:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
    environment = os.environ | ({"OMP_NUM_THREADS": str(cores)} if cores else {})
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *launcher, "train.py", *_flags(config, folder)]
        began, quiet = time.perf_counter(), subprocess.DEVNULL
        process = subprocess.Popen(command, cwd=ROOT, stdout=quiet, stderr=quiet, env=environment)
        try:
            rates = _wait_for(process, RunLayout(Path(folder) / "bench").metrics, steps)
            seconds = time.perf_counter() - began
        finally:
            os.kill(process.pid, signal.SIGTERM)  # Popen's own would reap it, and leave wait4 nothing
            _, status, usage = os.wait4(process.pid, 0)  # the largest of the process and those that it waited for
            process.returncode = os.waitstatus_to_exitcode(status)
    return rates, seconds, usage.ru_maxrss / 1024


def _wait_for(process: subprocess.Popen[bytes], log: Path, steps: int) -> list[float]:
    """Photos per second of each step, once there are `steps` of them. Raises ValueError if it ends earlier."""
    rates = list[float]()
    while len(rates) < steps:
        time.sleep(0.005)
        ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # left for wait4
        lines = log.read_text().splitlines(keepends=True) if log.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("\n")]
        rates = [event["images_per_second"] for event in events if event["event"] == "step"]
        if ended and len(rates) < steps:
            raise ValueError(f"a training ended after {len(rates)} of {steps} steps: try train.py by itself")
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    options, flags = parser.parse_known_args()
    config = parse_config(flags, "benchmarks/programs.py")
    launches = processes(config, max(2, usable_cores()), options.turns)
    found = {"start": start_up(config, options.turns), "processes": {key: asdict(one) for key, one in launches.items()}}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
