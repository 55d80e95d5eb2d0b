"""leafdist beside its peers on the same photos, in turns: python benchmarks/peers/run.py DATA --python PEERS.

PEERS is the python of an environment with the peers, `pip install -r benchmarks/peers/requirements.txt`; --timm names
timm's train.py, which its package lacks (without it timm is left out). ResNet-50 at 52 of 64 pixels and batch 256, or
with --model a network of timm beside timm alone. Random weights, channels_last, Adam, one precision for all, one epoch,
each a process of its own: photos a second of its training, and seconds of it all, validation included.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torchvision import models

ROOT = Path(__file__).parents[2]
OURS = "leafdist"
FOLDER = "leafdist, from the folder"
FROZEN = "leafdist, the protocol's own job (first stage frozen)"
Figures = tuple[float, float]  # photos a second of the training; seconds of the epoch, nan where not known


def ours(options: argparse.Namespace, *extra: object) -> Figures:
    """One line of metrics for all steps of the epoch, and the epoch's own."""
    photos = sum(1 for path in (options.root / "train").glob("*/*"))
    steps = -(-photos // options.batch)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "--config", "configs/resnet50.yaml", "--data.root", options.root]
        command += ["--model.name", f"timm/{options.model}"] if options.model else []
        command += ["--data.resize", options.resize, "--data.crop", options.crop]
        command += ["--data.interpolation", options.interpolation]
        command += ["--run.folder", folder, "--track.wandb", "off", "--train.epochs", 1]
        command += ["--train.precision", options.precision, "--train.batch_size", options.batch]
        command += ["--train.log_every", steps, *extra]
        call(command)
        lines = (Path(folder) / "resnet50" / "metrics.jsonl").read_text().splitlines()
    events = {event["event"]: event for event in map(json.loads, lines)}
    return events["step"]["images_per_second"], events["epoch"]["seconds"]


def call(command: list[object]) -> str:
    """What a command prints; its errors are shown where it fails."""
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def peer(options: argparse.Namespace, way: str) -> Figures:
    """The last line of what `way` prints."""
    command = [options.python, "benchmarks/peers/loops.py", way, options.root, "--model", options.model or "resnet50"]
    for name in ("resize", "crop", "interpolation", "batch", "workers", "precision"):
        command += [f"--{name}", getattr(options, name)]
    command += ["--timm", options.timm] if options.timm else []
    rate, seconds = map(float, call(command).split()[-2:])
    return rate, seconds


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of {train,val,test}/<class>/<photo>")
    parser.add_argument("--python", required=True, help="of the environment with the peers")
    parser.add_argument("--timm", type=Path)
    parser.add_argument("--model", help="of timm, such as tf_efficientnet_lite0; needs --timm")
    parser.add_argument("--resize", type=int, default=64)
    parser.add_argument("--crop", type=int, default=52)
    parser.add_argument("--interpolation", choices=("bilinear", "bicubic"), default="bilinear")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--precision", choices=("no", "bf16"), default="no")
    options = parser.parse_args()
    if options.model and not options.timm:
        parser.error("--model needs --timm train.py")
    options.root = options.root.resolve()
    options.timm = options.timm and options.timm.absolute()
    if "/" in options.python:
        options.python = str(Path(options.python).absolute())  # not resolved: a venv's python is a link
    return options


def print_table(figures: dict[str, list[Figures]]) -> None:
    """Medians, and medians over the turns of what the first two, which are ours, are over each."""
    own = list(figures)[:2]
    over = " | ".join(f"{name}: times as fast" for name in own)
    print(f"| | photos/s | {over} | an epoch, s | {over} |\n|{' --- |' * 7}")
    for name, turns in figures.items():
        rate, seconds = (statistics.median(turn[column] for turn in turns) for column in (0, 1))
        pairs = [list(zip(figures[mine], turns, strict=True)) for mine in own]
        rates = [statistics.median(a[0] / b[0] for a, b in pair) for pair in pairs]
        epochs = [statistics.median(b[1] / a[1] for a, b in pair) for pair in pairs]
        print(
            "|",
            " | ".join(
                [name, f"{rate:.1f}", *map("{:.2f}".format, rates), f"{seconds:.1f}", *map("{:.2f}".format, epochs)]
            ),
            "|",
        )


def main() -> None:
    """Measure and print."""
    options = read_options()
    pack = [sys.executable, "-m", "leafdist", "pack", options.root, "--resize", options.resize]
    pack += ["--interpolation", options.interpolation]
    call(pack)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "random.pt"  # the protocol freezes what was loaded
        torch.save(models.resnet50().state_dict(), weights)
        random = partial(ours, options, "--model.weights", "none")
        second: dict[str, Callable[[], Figures]] = {FROZEN: partial(ours, options, "--model.weights", weights)}
        if options.model:
            second = {FOLDER: partial(random, "--data.source", "folder")}
        ways = [] if options.model else ["torchvision", "lightning"]
        ways += ["timm"] if options.timm else []
        jobs: dict[str, Callable[[], Figures]] = {OURS: random} | second
        jobs |= {way: partial(peer, options, way) for way in ways}
        figures: dict[str, list[Figures]] = {name: [] for name in jobs}
        for _ in range(options.turns):
            for name, job in jobs.items():
                figures[name].append(job())
            print({name: tuple(round(one, 1) for one in turns[-1]) for name, turns in figures.items()}, flush=True)
    print_table(figures)


if __name__ == "__main__":
    main()
