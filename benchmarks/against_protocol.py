"""leafdist against the protocol's own loop: whole epochs with validation, in turns, each a process of its own.

python benchmarks/against_protocol.py DATA MODEL [--turns 3] [--epochs 1]

The same photos, model, batch and precision (configs/seed/<model>.yaml; ResNet-50 from a file of random weights for
both, frozen as in the text). Packs are made before. Prints seconds an epoch, medians, and the ratio turn by turn.
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

ROOT = Path(__file__).parents[1]


def call(*command: object) -> str:
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def protocol(root: Path, model: str, epochs: int) -> list[dict[str, float]]:
    command = [sys.executable, "benchmarks/protocol_loop.py", root, model, "--epochs", epochs]
    return [json.loads(line) for line in call(*command).splitlines()]


def ours(root: Path, model: str, epochs: int, weights: str, extra: list[str]) -> list[dict[str, float]]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "train.py", "--config", f"configs/seed/{model}.yaml", "--data.root", root]
        command += ["--train.epochs", epochs, "--run.folder", folder, "--track.wandb", "off"]
        command += ["--model.weights", weights, *extra]
        call(*command)
        lines = (Path(folder) / f"seed-{model}" / "metrics.jsonl").read_text().splitlines()
    return [event for line in lines if (event := json.loads(line))["event"] == "epoch"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of {train,val,test}/<class>/<photo>")
    parser.add_argument("model", choices=("baseline", "resnet50"))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    options, extra = parser.parse_known_args()
    root = options.root.resolve()
    call(sys.executable, "-m", "leafdist", "pack", root)
    with tempfile.TemporaryDirectory() as folder:
        weights = "none"
        if options.model == "resnet50":
            weights = str(Path(folder) / "random.pt")
            torch.save(models.resnet50().state_dict(), weights)
        pairs = []
        for _ in range(options.turns):
            theirs = protocol(root, options.model, options.epochs)
            mine = ours(root, options.model, options.epochs, weights, extra)
            pairs.append([statistics.mean(event["seconds"] for event in run) for run in (theirs, mine)])
            print(f"{pairs[-1][0]:.1f} s and {pairs[-1][1]:.1f} s an epoch", flush=True)
            print(f"val accuracy {theirs[-1]['val_accuracy']:.4f} and {mine[-1]['val_accuracy']:.4f}", flush=True)
    medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
    ratios = [theirs / mine for theirs, mine in pairs]
    print(f"protocol {medians[0]:.1f} s, leafdist {medians[1]:.1f} s an epoch: {statistics.median(ratios):.2f} times")
    print(f"as fast, {min(ratios):.2f} to {max(ratios):.2f} over {options.turns} turns of {options.epochs} epoch(s)")


if __name__ == "__main__":
    main()
