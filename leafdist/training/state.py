"""Where a training stands: what a checkpoint holds besides weights and optimizer."""

import math
import time
from dataclasses import dataclass, field
from typing import Any

from leafdist.training.sums import Totals


@dataclass
class TrainState:
    """Integers, sums and times; `batch` counts batches of the current epoch, `step` optimizer steps of the run."""

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    best_epoch: int = -1
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    epoch_totals: Totals = field(default_factory=Totals)
    log_totals: Totals = field(default_factory=Totals)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainState":
        totals = {name: Totals(**values[name]) for name in ("epoch_totals", "log_totals")}
        return cls(**{**values, **totals})

    @property
    def place(self) -> tuple[int, int]:
        return self.epoch, self.step

    def better(self, accuracy: float, loss: float) -> bool:
        """Whether val accuracy rose, or stayed with a lower loss; if so, that is the best now."""
        loss = math.inf if math.isnan(loss) else loss
        if (accuracy, -loss) <= (self.best_accuracy, -self.best_loss):
            return False
        self.best_epoch, self.best_accuracy, self.best_loss = self.epoch, accuracy, loss
        return True

    def end_epoch(self) -> None:
        self.epoch, self.batch, self.epoch_seconds, self.epoch_totals = self.epoch + 1, 0, 0.0, Totals()

    def result(self) -> dict[str, Any]:
        """The run in a few numbers."""
        return {
            "steps": self.step,
            "seconds": self.seconds,
            "best_epoch": self.best_epoch,
            "best_val_accuracy": self.best_accuracy,
            "best_val_loss": self.best_loss,
        }


class Lap:
    """Adds the time that passed to a state, also over restarts."""

    def __init__(self) -> None:
        self.last = time.monotonic()

    def add(self, state: TrainState) -> None:
        now = time.monotonic()
        state.seconds, state.epoch_seconds = state.seconds + now - self.last, state.epoch_seconds + now - self.last
        self.last = now
