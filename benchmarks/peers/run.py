"""leafdist beside its peers on the same photos, in turns: python benchmarks/peers/run.py DATA --python PEERS.

PEERS is the python of an environment with the peers, `pip install -r benchmarks/peers/requirements.txt`; --timm names
timm's train.py, which its package lacks (without it timm is left out). ResNet-50 from random weights at 52 of 64
pixels, channels_last, batch 256, Adam, one precision for all: photos a second of a whole epoch's training, each a
process of its own.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from torchvision import models

ROOT = Path(__file__).parents[2]
OURS = "leafdist"
FROZEN = "leafdist, the protocol's own job (first stage frozen)"


def ours(options: argparse.Namespace, *extra: object) -> float:
    """One line of metrics for all steps of the epoch."""
    photos = sum(1 for path in (options.root / "train").glob("*/*"))
    steps = -(-photos // options.batch)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "--config", "configs/resnet50.yaml", "--data.root", options.root]
        command += ["--run.folder", folder, "--track.wandb", "off", "--train.epochs", 1]
        command += ["--train.precision", options.precision, "--train.batch_size", options.batch]
        command += ["--train.log_every", steps, *extra]
        subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, check=True)
        lines = (Path(folder) / "resnet50" / "metrics.jsonl").read_text().splitlines()
    return next(event["images_per_second"] for event in map(json.loads, lines) if event["event"] == "step")


def peer(options: argparse.Namespace, way: str) -> float:
    command = [options.python, "benchmarks/peers/loops.py", way, options.root, "--batch", options.batch]
    command += ["--workers", options.workers, "--precision", options.precision]
    command += ["--timm", options.timm] if options.timm else []
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of {train,val,test}/<class>/<photo>")
    parser.add_argument("--python", required=True, help="of the environment with the peers")
    parser.add_argument("--timm", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--precision", choices=("no", "bf16"), default="no")
    options = parser.parse_args()
    options.root = options.root.resolve()
    subprocess.run([sys.executable, "-m", "leafdist", "pack", options.root], cwd=ROOT, check=True, capture_output=True)
    ways = ["torchvision", "lightning", *(["timm"] if options.timm else [])]
    rates: dict[str, list[float]] = {name: [] for name in (OURS, FROZEN, *ways)}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "random.pt"  # the protocol freezes what was loaded
        torch.save(models.resnet50().state_dict(), weights)
        for _ in range(options.turns):
            rates[OURS].append(ours(options, "--model.weights", "none"))
            rates[FROZEN].append(ours(options, "--model.weights", weights))
            for way in ways:
                rates[way].append(peer(options, way))
            print({name: round(measured[-1], 1) for name, measured in rates.items()}, flush=True)
    print("| | photos/s | leafdist is so many times as fast | its protocol's job |\n| --- | --- | --- | --- |")
    for name, measured in rates.items():
        ratios = [statistics.median(a / b for a, b in zip(rates[own], measured, strict=True)) for own in (OURS, FROZEN)]
        print(f"| {name} | {statistics.median(measured):.1f} | {ratios[0]:.2f} | {ratios[1]:.2f} |")


if __name__ == "__main__":
    main()
