"""The lines of metrics.jsonl: which of them stand after a resume, and their names in W&B and TensorBoard."""

import json
from pathlib import Path
from typing import Any

from leafdist.system import files

# Names that differ from `train/<key>`: an epoch's mean must not share a chart with single steps.
NAMES = {"step": "step", "epoch": "epoch", "val_loss": "val/loss", "val_accuracy": "val/accuracy"}
NAMES |= {"train_loss": "train/epoch_loss", "train_accuracy": "train/epoch_accuracy"}


def row_of(event: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a `step` or `epoch` event by the names of their charts; nothing of other events."""
    if event["event"] not in ("step", "epoch"):
        return {}
    return {NAMES.get(key, f"train/{key}"): value for key, value in event.items() if key != "event"}


def summary_of(summary: dict[str, Any]) -> dict[str, Any]:
    """`best_epoch` as `best/epoch`."""
    return {key.replace("best_", "best/", 1): value for key, value in summary.items()}


def cut_back(path: Path, epoch: int, step: int) -> list[dict[str, Any]]:
    """Drop what will be written again: steps after `step`, `epoch` and later ones, and a line that a kill has torn.

    Returns the events that stand.
    """
    standing = [event for event in files.read_json_lines(path) if _stands(event, epoch, step)]
    files.write_text(path, "".join(f"{json.dumps(event)}\n" for event in standing))
    return standing


def _stands(event: dict[str, Any], epoch: int, step: int) -> bool:
    if event.get("event") == "epoch":
        return bool(event["epoch"] < epoch)
    return event.get("event") != "step" or bool(event["step"] <= step)
