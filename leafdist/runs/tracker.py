"""What a training tells its trackers, and the id that one run has at W&B over all its starts."""

import os
from pathlib import Path
from secrets import token_hex
from typing import Protocol

from leafdist.runs.events import Event
from leafdist.runs.facts import RunResult
from leafdist.runs.layout import RunLayout
from leafdist.system import files


class Tracker(Protocol):
    """Takes the events of metrics.jsonl."""

    def log(self, event: Event) -> None:
        """Take one event."""

    def close(self, exit_code: int, result: RunResult | None) -> None:
        """Take the result, None if the run did not finish, and end."""


class NullTracker:
    """The tracker of ranks that write nothing."""

    def log(self, event: Event) -> None:
        """Ignore the event."""

    def close(self, exit_code: int, result: RunResult | None) -> None:
        """Do nothing."""


def wandb_id(run: Path) -> str:
    """Return the run's id at W&B, drawn before its first start (or given by a sweep) so that every start shares it."""
    path = RunLayout(run).wandb_id
    if not path.exists():
        sweeps = os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None
        files.write_text(path, (sweeps or token_hex(8)) + "\n")
    return path.read_text(encoding="utf-8").strip()
