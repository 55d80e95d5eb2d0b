"""What a training tells its trackers, and the id that one run has at W&B over all its starts."""

import os
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

from leafdist.runs.layout import RunLayout
from leafdist.system import files


class Tracker(Protocol):
    """Takes the events of metrics.jsonl."""

    def log(self, event: Any) -> None:
        """Take one event."""

    def close(self, exit_code: int, summary: dict[str, Any]) -> None:
        """Take the run in a few numbers, and end."""


class NullTracker:
    """Tracker of the ranks that do not speak."""

    def log(self, event: Any) -> None:
        """Drop it."""

    def close(self, exit_code: int, summary: dict[str, Any]) -> None:
        """Do nothing."""


def wandb_id(run: Path) -> str:
    """The id of the run at W&B, drawn here before its first start, so that every start continues the same run.

    The agent of a sweep brings one along.
    """
    path = RunLayout(run).wandb_id
    if not path.exists():
        sweeps = os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None
        files.write_text(path, (sweeps or token_hex(8)) + "\n")
    return path.read_text(encoding="utf-8").strip()
