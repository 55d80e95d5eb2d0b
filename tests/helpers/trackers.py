"""What tests give to a tracker, and what they find in its files."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from leafdist.tracking.run_tracker import RunTracker
from leafdist.tracking.tensorboard import TensorBoard

CONFIG = {"seed": 0, "optim": {"lr": 0.001}}
EPOCH = {"event": "epoch", "epoch": 0, "step": 2, "train_loss": 0.5, "train_accuracy": 0.8, "val_loss": 0.6}


def step(number: int, loss: float = 1.0) -> dict[str, Any]:
    """Return the event of one step."""
    return {"event": "step", "epoch": 0, "step": number, "loss": loss, "lr": 0.1, "images_per_second": 9.0}


def metrics(folder: Path) -> list[dict[str, Any]]:
    """Read metrics.jsonl as strict JSON; ValueError for NaN and infinity."""

    def no_constant(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=no_constant) for line in lines]


@cache
def records(piece: Path) -> list[dict[str, Any]]:
    """Return what W&B's own reader finds in an offline run."""
    command = [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", "--json", str(piece)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def history(piece: Path) -> list[dict[str, Any]]:
    """Return the rows of an offline run's charts."""
    return [record["history"]["item"] for record in records(piece) if record["type"] == "history"]


def of_kind(piece: Path, kind: str) -> list[dict[str, Any]]:
    """Return the records of one kind of an offline run."""
    return [record[kind] for record in records(piece) if record["type"] == kind]


def summary(piece: Path) -> dict[str, Any]:
    """Return the summary of an offline run as W&B would put it together."""
    return {key: value for found in of_kind(piece, "summary") for key, value in found.get("update", {}).items()}


def tracked(run: Path, place: tuple[int, int] = (0, 0), **more: Any) -> RunTracker:
    """Open a tracker that writes metrics.jsonl and TensorBoard's files."""
    guest = TensorBoard(run / "tensorboard", {"optim.lr": 0.5, "run.name": None})
    return RunTracker(run, "leaf", CONFIG, mode="off", others=[guest], place=place, **more)
