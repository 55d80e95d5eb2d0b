"""What tests give to a tracker, and what they find in its files."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from leafdist.runs.events import EpochEvent, Event, StartEvent, StepEvent
from leafdist.runs.facts import RunResult
from leafdist.runs.metrics_log import line_of
from leafdist.tracking.background import Aside, Guest
from leafdist.tracking.run_tracker import RunTracker
from leafdist.tracking.showcase import Showcase
from leafdist.tracking.tensorboard import TensorBoard
from leafdist.tracking.wandb_client import WandbRun
from leafdist.tracking.weights_biases import WeightsAndBiases

CONFIG = {"seed": 0, "optim": {"lr": 0.001}}
START = StartEvent(epoch=0, step=0, world_size=1)
EPOCH = EpochEvent(0, 2, train_loss=0.5, train_accuracy=0.8, val_loss=0.6, val_accuracy=0.75, seconds=9.0)
RESULT = RunResult(steps=5, seconds=9.0, best_epoch=0, best_val_accuracy=0.5, best_val_loss=0.6)


def step(number: int, loss: float = 1.0) -> StepEvent:
    """Return the event of one step."""
    return StepEvent(0, number, loss, lr=0.1, images_per_second=9.0)


def lines(*events: Event) -> list[dict[str, Any]]:
    """Return what `metrics` reads of a log of these events."""
    return [json.loads(line_of(event)) for event in events]


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


def run_tracker(
    run: Path,
    *,
    mode: str = "off",
    position: tuple[int, int] = (0, 0),
    say: Callable[[str], None] = print,
    project: str = "leafdist",
    tags: tuple[str, ...] = (),
    showcase: Showcase | None = None,
    others: Sequence[Guest] = (),
) -> RunTracker:
    """Open a tracker of the run `leaf`."""
    about = WandbRun("leaf", project, None, tags, CONFIG)
    wandb = WeightsAndBiases(run, mode, about, showcase or Showcase(), say)
    return RunTracker(run, [Aside(wandb), *others], position, say)


def tracked(run: Path, position: tuple[int, int] = (0, 0), say: Callable[[str], None] = print) -> RunTracker:
    """Open a tracker that writes metrics.jsonl and TensorBoard's files."""
    guest = TensorBoard(run / "tensorboard", {"optim.lr": 0.5, "run.name": None})
    return run_tracker(run, others=[guest], position=position, say=say)
